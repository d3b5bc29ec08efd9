"""Waybill and the tools it is measured against: versions, environments, command lines."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from servers import KEYS, program
from workloads import walk

ROOT = Path(__file__).resolve().parent.parent
BUCKET = "bench"
URL = f"s3://{BUCKET}/data"
CELLS = ("upload", "nothing", "download", "changed")  # in the order they are measured


class Place(NamedTuple):
    """Where a command works: the tree, the folder to download to, a folder for its own files."""

    data: str
    target: str
    work: str


@dataclass(frozen=True)
class Tool:
    """A tool; ``command`` gives the command line of a cell, ``prepare`` writes what it needs into
    ``Place.work``, ``settings`` are variables of its environment, ``asks`` tells its version."""

    name: str
    command: Callable[[str, Place], list[str]]
    asks: Callable[[], list[str]]
    prepare: Callable[[Place], None] = lambda _place: None
    settings: Callable[[str], dict[str, str]] = lambda _url: {}

    def version(self) -> str:
        """What it says of itself, as `name 1.2.3`."""
        said = subprocess.run(self.asks(), capture_output=True, text=True, check=True).stdout
        found = re.search(r"(\d+\.\d+[\w.]*)", said)
        return f"{self.name} {found.group(1) if found else said.strip()}"


def own_environment(name: str, *requirements: str) -> Path:
    """The commands of an environment beside this one, made at first use: not everything can be
    installed together."""
    folder = ROOT / ".venv" / f"bench-{name}"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"making an environment for {', '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", *requirements], check=True)
        ready.touch()
    return folder / "bin"


def _aws() -> str:
    return str(own_environment("aws", "awscli<2") / "aws")


def _storage() -> str:
    packages = ("snakemake>=9.14", "snakemake-storage-plugin-s3")
    return str(own_environment("storage", *packages) / "snakemake")


def _s5cmd_command(cell: str, place: Place) -> list[str]:
    if cell == "download":
        return [program("s5cmd"), "cp", f"{URL}/*", f"{place.target}/"]
    how = "cp" if cell == "upload" else "sync"
    return [program("s5cmd"), how, f"{place.data}/", f"{URL}/"]


def _aws_command(cell: str, place: Place) -> list[str]:
    ends = [URL, place.target] if cell == "download" else [place.data, URL]
    return [_aws(), "s3", "sync", *ends]


def _rclone(*flags: str) -> Callable[[str, Place], list[str]]:
    def command(cell: str, place: Place) -> list[str]:
        there = f"s3:{BUCKET}/data"
        ends = [there, place.target] if cell == "download" else [place.data, there]
        return [program("rclone"), "copy", *ends, *flags]

    return command


def rclone_settings(url: str) -> dict[str, str]:
    """A remote `s3:` of the server at ``url``."""
    values = {"TYPE": "s3", "PROVIDER": "Rclone", "ENDPOINT": url, "ENV_AUTH": "true"}
    return {f"RCLONE_CONFIG_S3_{name}": value for name, value in values.items()}


def waybill_command(root: Path) -> Callable[[str, Place], list[str]]:
    """The command of the README for the clone at ``root``; the two options say what `cd` into it
    would."""

    def command(cell: str, place: Place) -> list[str]:
        at = "back" if cell == "download" else "there"
        where = ["--snakefile", str(root / "Snakefile"), "--directory", f"{place.work}/{at}"]
        toml = f"toml={place.work}/{at}/bench.toml"
        return [sys.executable, "-m", "snakemake", *where, "--config", toml]

    return command


def _waybill_prepare(place: Place, upload: tuple[str, ...] = ()) -> None:
    both = (("there", place.data, URL, upload), ("back", URL, place.target, ()))
    for at, source, target, settings in both:
        folder = Path(place.work, at)
        folder.mkdir()
        sides = (f'source = "{source}"', f'destination = "{target}"')
        lines = ("[transfers.bench]", *sides, *settings, "")
        (folder / "bench.toml").write_text("\n".join(lines))


def _waybill_ifcb_prepare(place: Place) -> None:
    """The settings of config/ifcb.toml."""
    _waybill_prepare(place, ('preset = "ifcb"', "settle = 60"))


def _waybill_fused_prepare(place: Place) -> None:
    _waybill_prepare(place, ("one_job_per_batch = true",))


def _storage_command(cell: str, place: Place) -> list[str]:
    settings = [f"data={place.data}", f"target={place.target}", f"names={place.work}/names"]
    target = "download" if cell == "download" else "upload"
    where = ["--snakefile", str(ROOT / "benchmarks" / "storage.smk"), "--directory", place.work]
    cores = ["--cores", "all", "--config", f"url={URL}", *settings]
    return [_storage(), target, *where, *cores]


def _storage_prepare(place: Place) -> None:
    names = sorted(path for path, _ in walk(Path(place.data)))
    Path(place.work, "names").write_text("".join(f"{name}\n" for name in names))


def _storage_settings(url: str) -> dict[str, str]:
    values = {"ENDPOINT_URL": url, "ACCESS_KEY": KEYS[0], "SECRET_KEY": KEYS[1]}
    return {f"SNAKEMAKE_STORAGE_S3_{name}": value for name, value in values.items()}


def _storage_asks() -> list[str]:
    what = "import importlib.metadata as m; print(m.version('snakemake-storage-plugin-s3'))"
    return [str(Path(_storage()).with_name("python")), "-c", what]


def _waybill_asks() -> list[str]:
    what = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import waybill"
    return [sys.executable, "-c", f"{what}; print(waybill.__version__)"]


RCLONE_FLAGS = ("--transfers=32", "--checkers=32", "--fast-list", "--s3-no-check-bucket")

OURS = ("waybill", "waybill-fused", "waybill-ifcb")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("s5cmd", _s5cmd_command, lambda: [program("s5cmd"), "version"]),
        Tool("waybill", waybill_command(ROOT), _waybill_asks, _waybill_prepare),
        Tool("waybill-fused", waybill_command(ROOT), _waybill_asks, _waybill_fused_prepare),
        Tool("waybill-ifcb", waybill_command(ROOT), _waybill_asks, _waybill_ifcb_prepare),
        Tool("aws", _aws_command, lambda: [_aws(), "--version"]),
        Tool(
            "rclone",
            _rclone(*RCLONE_FLAGS),
            lambda: [program("rclone"), "version"],
            settings=rclone_settings,
        ),
        Tool(
            "rclone-default",
            _rclone(),
            lambda: [program("rclone"), "version"],
            settings=rclone_settings,
        ),
        Tool("storage", _storage_command, _storage_asks, _storage_prepare, _storage_settings),
    )
}


def shown(command: list[str]) -> str:
    """A command line as a page tells it: no paths of this machine."""
    words = [Path(command[0]).name, *command[1:]]
    if words[1:3] == ["-m", "snakemake"]:
        words = words[2:]
    return " ".join(word.replace(f"{ROOT}/", "") for word in words)
