"""`make` on a machine that lacks something says so in one line."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


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
    # as if this suite itself were not run by make
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
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
