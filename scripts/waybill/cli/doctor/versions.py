"""Whether the installed packages are within the bounds that Waybill declares.

The bounds stand in one place: ``pyproject.toml`` of a clone, from which the metadata of an
installed distribution is made.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from waybill.cli.doctor.rows import Row, Verdict
from waybill.config.read import read_toml
from waybill.system import installed
from waybill.system.resources import project_root

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Have a row each; the other packages share one.
_NAMED = ("snakemake", "boto3", "awscrt")
EXECUTOR = "snakemake-executor-plugin-slurm"

Version = Callable[[str], str | None]  # the installed version of a distribution, None without one


class Declared(NamedTuple):
    """The bounds: of Python (``>=3.11``), of the packages (PEP 508), and the file they are from."""

    python: str
    packages: tuple[str, ...]
    source: str


def declared() -> Declared | None:
    """The bounds of the code that runs; None when it is neither in a clone nor installed.

    Raises ConfigError when ``pyproject.toml`` cannot be read.
    """
    file = project_root() / "pyproject.toml"
    if file.is_file():
        project = read_toml(file)["project"]
        slurm = project.get("optional-dependencies", {}).get("slurm", [])
        packages = [*project["dependencies"], *(f'{text}; extra == "slurm"' for text in slurm)]
        return Declared(project["requires-python"], tuple(packages), str(file))
    for found in _distributions():
        if Path(str(found.locate_file("waybill"))).resolve().parent == installed.tree():
            python = str(found.metadata["Requires-Python"])
            return Declared(python, tuple(found.requires or ()), f"metadata of {found.name}")
    return None


def version(name: str) -> str | None:
    """The version of the distribution ``name``, or None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check() -> Iterator[Row]:
    """The rows about this environment."""
    yield code(installed.identity(), installed.tree(), [*_others()])
    bounds = declared()
    if bounds is None:
        advice = "install Waybill again, or run it from a clone"
        yield Row("python", Verdict.UNTOLD, "the bounds of Waybill are nowhere declared", advice)
        return
    yield python(platform.python_version(), bounds)
    yield from packages(bounds, version)


def check_executor() -> Iterator[Row]:
    """The row about the package that submits jobs to SLURM."""
    yield from executor(declared(), version)


def executor(bounds: Declared | None, version: Version) -> Iterator[Row]:
    """The row about the package that submits jobs to SLURM."""
    for requirement in _requirements(bounds.packages, extra="slurm") if bounds else ():
        if requirement.name == EXECUTOR:
            yield _package("slurm executor", requirement, version(EXECUTOR))


def code(name: str, tree: Path, others: Sequence[str]) -> Row:
    """The row about the code that runs: ``name`` is version and digest, ``others`` are the folders
    of other copies that Python would find."""
    found = f"waybill {name} in {tree}"
    if not others:
        return Row("code", Verdict.OK, found)
    advice = "uninstall it, so that nobody takes one for the other"
    return Row("code", Verdict.WARN, f"{found}; another is installed in {others[0]}", advice)


def python(present: str, bounds: Declared) -> Row:
    """The row about Python itself."""
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(bounds.python).contains(present, prereleases=True):
        return Row("python", Verdict.OK, f"{present} ({bounds.python})")
    advice = f"make an environment with Python {bounds.python}: environment.yml"
    return Row("python", Verdict.FAIL, f"{present}, not {bounds.python}", advice)


def packages(bounds: Declared, version: Version) -> Iterator[Row]:
    """The rows about the packages that Waybill needs everywhere."""
    wanted = _requirements(bounds.packages)
    rows = [_package(each.name, each, version(each.name)) for each in wanted]
    yield from sorted((row for row in rows if row.check in _NAMED), key=_order)
    rest = [row for row in rows if row.check not in _NAMED]
    wrong = [row for row in rest if row.verdict is not Verdict.OK]
    yield from wrong
    if rest and not wrong:
        names = ", ".join(f"{row.check} {row.found.split()[0]}" for row in rest)
        yield Row("other packages", Verdict.OK, names)


def _order(row: Row) -> int:
    return _NAMED.index(row.check)


def _package(check: str, requirement: Requirement, present: str | None) -> Row:
    bounds = str(requirement.specifier)
    if present is None:
        found = f"{requirement.name} is not installed"
    elif requirement.specifier.contains(present, prereleases=True):
        return Row(check, Verdict.OK, f"{present} ({bounds})" if bounds else present)
    else:
        found = f"{present}, not {bounds}"
    advice = f"install {requirement.name}{bounds} (conda: environment.yml)"
    return Row(check, Verdict.FAIL, found, advice)


def _requirements(texts: Sequence[str], extra: str = "") -> list[Requirement]:
    """The requirements that apply here: those of everywhere, or those of the optional ``extra``."""
    from packaging.requirements import Requirement

    found = [Requirement(text) for text in texts]
    if not extra:
        return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [r for r in found if r.marker is not None and r.marker.evaluate({"extra": extra})]


def _distributions() -> Iterator[metadata.Distribution]:
    """The installed distributions that bring the package ``waybill`` itself."""
    for found in metadata.distributions():
        named = found.name and "waybill" in found.name.lower()
        if named and any(str(file) == "waybill/__init__.py" for file in found.files or ()):
            yield found


def _others() -> Iterator[str]:
    """The folders of installed copies of Waybill that are not the one that runs."""
    for found in _distributions():
        folder = Path(str(found.locate_file("waybill")))
        if folder.is_dir() and folder.resolve().parent != installed.tree():
            yield str(folder.parent)
