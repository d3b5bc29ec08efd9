"""Versions against the bounds that Waybill declares, which stand in pyproject.toml alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

from waybill.cli.doctor import versions
from waybill.cli.doctor.rows import Verdict
from waybill.cli.doctor.versions import Declared

ROOT = Path(__file__).parents[4]
BOUNDS = Declared(
    ">=3.11",
    ("snakemake>=9.24,<10", "boto3[crt]>=1.40", "tomli>=2.0", 'old>=9; python_version < "3.0"',
     'snakemake-executor-plugin-slurm>=2.8; extra == "slurm"', 'moto>=5; extra == "test"'),
    "here",
)  # fmt: skip


def rows(**present: str) -> dict[str, tuple[Verdict, str]]:
    found = versions.packages(BOUNDS, present.get)
    return {row.check: (row.verdict, row.found) for row in found}


def test_within_the_bounds() -> None:
    assert rows(snakemake="9.27.1", boto3="1.44.8", tomli="2.4.0") == {
        "snakemake": (Verdict.OK, "9.27.1 (<10,>=9.24)"),
        "boto3": (Verdict.OK, "1.44.8 (>=1.40)"),
        "other packages": (Verdict.OK, "tomli 2.4.0"),
    }


def test_outside_the_bounds_and_missing() -> None:
    assert rows(snakemake="10.0", boto3="1.9", other="1") == {
        "snakemake": (Verdict.FAIL, "10.0, not <10,>=9.24"),
        "boto3": (Verdict.FAIL, "1.9, not >=1.40"),
        "tomli": (Verdict.FAIL, "tomli is not installed"),
    }


def test_python() -> None:
    assert versions.python("3.11.2", BOUNDS).verdict is Verdict.OK
    old = versions.python("3.10.9", BOUNDS)
    assert (old.verdict, old.found) == (Verdict.FAIL, "3.10.9, not >=3.11")


def test_the_bounds_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = versions.declared()
    assert found is not None
    assert found.python == project["requires-python"]
    assert list(found.packages[: len(project["dependencies"])]) == project["dependencies"]


def test_the_executor_is_compared_with_the_bounds_of_its_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bounds,) = project["optional-dependencies"]["slurm"]
    (row,) = versions.executor(versions.declared(), {versions.EXECUTOR: "1.0"}.get)
    assert row.verdict is Verdict.FAIL
    assert row.found == f"1.0, not {bounds.removeprefix(versions.EXECUTOR)}"
    (row,) = versions.executor(versions.declared(), {}.get)
    assert row.found == f"{versions.EXECUTOR} is not installed"
    (row,) = versions.executor(versions.declared(), {versions.EXECUTOR: "2.8.5"}.get)
    assert (row.check, row.verdict) == ("slurm executor", Verdict.OK)


def test_another_copy_is_named() -> None:
    here = versions.code("0.1.0+ab", Path("/clone/scripts"), [])
    assert (here.verdict, here.found) == (Verdict.OK, "waybill 0.1.0+ab in /clone/scripts")
    both = versions.code("0.1.0+ab", Path("/clone/scripts"), ["/env/site-packages"])
    assert both.verdict is Verdict.WARN
    assert "/env/site-packages" in both.found


def test_this_environment_is_right() -> None:
    wrong = [row for row in versions.check() if row.verdict is Verdict.FAIL]
    assert wrong == []
