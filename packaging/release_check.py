"""``make release-check``: what ``python -m build`` has made in a folder works by itself:
``python packaging/release_check.py FOLDER``.

The wheel is installed into an empty environment in an empty home, with no clone on any path. There
the demo runs, `waybill copy` moves a folder to an S3 server on this machine, and `snakemake` finds
the profiles. The recipe with version and checksum of the sdist is written to ``meta.yaml``.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "packaging" / "meta.yaml"

# Runs in the new environment: a server, a bucket, then the commands of its arguments, one a line.
WITH_SERVER = """
import os, subprocess, sys
from pathlib import Path
from waybill.demo.__main__ import make_bucket, s3_server
Path("demo").mkdir(exist_ok=True)
with s3_server() as environment:
    make_bucket(environment, "my-bucket")
    for command in sys.argv[1:]:
        print("$", command, flush=True)
        if code := subprocess.run(command, shell=True, env=environment).returncode:
            sys.exit(code)
"""
COPY = "waybill copy data s3://my-bucket/gut --name data --yes"
AGAIN = "snakemake --snakefile $(waybill where snakefile) --config toml=results/data.toml"


def main(folder: Path) -> None:
    """Check the one wheel and the one sdist of the folder. Raises SystemExit with what is wrong."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    version = version_of(wheel)
    if sdist.name != f"snakemake_waybill-{version}.tar.gz":
        sys.exit(f"waybill: {sdist.name} is not of version {version}")
    write_recipe(folder / "meta.yaml", version, sdist)
    with tempfile.TemporaryDirectory(prefix="waybill-release-") as place:
        install(Path(place), wheel)
        check_commands(Path(place), version)
    print(f"waybill: {wheel.name} works by itself; the recipe is {folder / 'meta.yaml'}")


def version_of(wheel: Path) -> str:
    """The version that the metadata of the wheel have."""
    with ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return str(message_from_bytes(archive.read(name))["Version"])


def write_recipe(path: Path, version: str, sdist: Path) -> None:
    """Write the recipe with version and checksum of the sdist."""
    text = RECIPE.read_text(encoding="utf-8")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    for name, value in {"version": version, "sha256": digest}.items():
        text, count = re.subn(f'(?m)^({{% set {name} = )".*"', rf'\1"{value}"', text)
        if count != 1:
            sys.exit(f"waybill: {RECIPE} sets {name} {count} times, not once")
    path.write_text(text, encoding="utf-8")


def install(place: Path, wheel: Path) -> None:
    """Make an environment in ``place`` that has the wheel, the demo and the executor for SLURM."""
    print("waybill: installing the wheel into an empty environment", flush=True)
    venv.create(place / "env", with_pip=True)
    wanted = f"{wheel.resolve()}[demo,slurm]"
    pip = [place / "env/bin/python", "-m", "pip", "install", "--quiet", wanted]
    subprocess.run([*pip, "--disable-pip-version-check"], check=True)


def check_commands(place: Path, version: str) -> None:
    """Run the commands of a user in an empty home."""
    home = place / "home"
    (home / "data" / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt"):
        (home / "data" / name).write_text(name)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AWS_"))}
    path = f"{place / 'env/bin'}:{os.environ['PATH']}"
    env = {**inherited, "HOME": str(home), "PATH": path, "VIRTUAL_ENV": str(place / "env")}

    def run(*command: str) -> str:
        print(f"waybill: {' '.join(part for part in command if part != WITH_SERVER)}", flush=True)
        done = subprocess.run(
            command, cwd=home, env=env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{done.stdout}\nwaybill: {' '.join(command)} ended with {done.returncode}")
        return done.stdout

    def wanted(text: str, *parts: str) -> None:
        for part in parts:
            if part not in text:
                sys.exit(f"{text}\nwaybill: {part!r} is missing in the output above")

    wanted(run("waybill", "--version"), f"waybill {version}\n")
    wanted(run("waybill", "where"), *(str(place / "env" / "lib"),) * 3)
    for name in ("hca-smart-sync", "sync-from-s3", "s3-upload", "pt5-uploader"):
        run(name, "--help")
    wanted(run("python", "-m", "waybill.demo"), "4 moved, 74.9 MiB", "depth content: all agree")
    slurm = f"{AGAIN} --profile $(waybill where profiles)/slurm --dry-run"
    text = run("python", "-P", "-c", WITH_SERVER, COPY, COPY, AGAIN, slurm)
    wanted(text, "2 moved", "nothing to move", "waybill/profiles/default", "Job stats")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
