"""`make` on a machine that lacks something says so in one line."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# as if this suite itself were not run by make
ENV = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


@pytest.mark.parametrize(
    ("lacking", "line"),
    [
        ("version_info", "is missing or older than 3.11; install Python"),
        ("venv", "has no venv module; on Debian: apt install python3-venv"),
    ],
)
@pytest.mark.parametrize("target", ["demo", "test"])
def test_what_is_missing_is_said_in_one_line(tmp_path, target, lacking, line):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{lacking}*) exit 1;; esac\nexec python3 "$@"\n')
    python.chmod(0o755)
    command = ["make", "--no-print-directory", target, f"PYTHON={python}"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False
    )
    said = [text for text in done.stderr.splitlines() if not text.startswith("make: ***")]
    assert len(said) == 1
    assert said[0].startswith("waybill: ")
    assert line in said[0]
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()


def test_ci_calls_the_targets_of_the_readme():
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {"make demo", "make test"} <= set(commands)


@pytest.mark.parametrize("code", [0, 1])
def test_an_installation_says_how_far_it_is(tmp_path, code):
    """A script stands for pip: what it says is shown in short, its exit code counts."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    error = "echo 'ERROR: No matching distribution' >&2; exit 1;" if code else ""
    inner = tmp_path / "inner"
    inner.write_text(
        '#!/bin/sh\ncase "$*" in\n*--editable*) ;;\n'
        "*-r*) i=0; while [ $i -lt 45 ]; do i=$((i+1)); echo Collecting p$i;"
        f" echo '  Downloading'; done; {error} echo Installing collected packages: p1;;\n"
        '*-c*) exec python3 "$@";; esac\n'
    )
    python = tmp_path / "python"
    make_folder = "mkdir -p .venv/bin; cp inner .venv/bin/python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *"-m venv"*) {make_folder};; esac\n')
    inner.chmod(0o755)
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", ".venv/.ready", f"PYTHON={python}"],
        cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = ["waybill: making .venv/ beside this file, in a minute or two"]
    said += ["waybill: 20 packages fetched", "waybill: 40 packages fetched"]
    said += [] if code else ["waybill: installing 45 packages into .venv/"]
    assert done.stdout.splitlines() == said
    assert (done.returncode == 0) == (code == 0)
    assert (tmp_path / ".venv" / ".ready").exists() == (code == 0)
    assert ("pip: No matching distribution" in done.stderr) == (code == 1)
    assert len((tmp_path / ".venv" / "pip.log").read_text().splitlines()) >= 90
