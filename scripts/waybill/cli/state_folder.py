"""The state of a door between its runs: a configuration, tables, journals, markers and a log."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from waybill.cli.launch import Launch
from waybill.cli.terminal import Screen
from waybill.config import read
from waybill.model.errors import ConfigError
from waybill.model.transfer import Transfer
from waybill.results import state
from waybill.results.layout import Layout
from waybill.system.files import write_atomic


def state_home(door: str) -> Path:
    """The folder of the state of a door."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = given if given.is_absolute() else Path.home() / ".local" / "state"
    return base / "waybill" / door


def digest(*parts: str | Path) -> str:
    """A hash of ``parts`` (12 hex digits), as a name."""
    return hashlib.sha256(b"\0".join(map(os.fsencode, parts))).hexdigest()[:12]


def configure(file: Path, text: str, directory: Path | None = None) -> dict[str, Transfer]:
    """Write a configuration, and return its transfers as the workflow will have them.
    ``directory`` is the folder that the workflow runs in (None: that of the file).

    Raises ConfigError as ``check`` does, and then nothing is written.
    """
    transfers = check(file, text, directory or file.parent)
    write_atomic(file, text.encode())
    return transfers


def check(file: Path, text: str, directory: Path) -> dict[str, Transfer]:
    """The transfers of a configuration that is to be written. Raises ConfigError, whose problems
    begin with the key, because the user does not write this file."""
    import tomli

    try:
        return read.from_table(tomli.loads(text), file, directory=directory)
    except ConfigError as error:
        place = re.compile(rf"{re.escape(str(file))}: (?:transfers\.[\w-]+|defaults)\.")
        problems = dict.fromkeys(place.sub("", problem, count=1) for problem in error.problems)
        raise ConfigError(list(problems)) from None


def configured(file: Path) -> dict[str, Transfer]:
    """The transfers of the last run; none when its configuration cannot be read."""
    try:
        return read.load(file, directory=file.parent)
    except ConfigError:
        return {}


def forget_proofs(layout: Layout) -> None:
    """Remove all markers, so that every file is looked at again. Otherwise Snakemake would use diff
    tables from before the last run. The journals of proven batches are removed too, as an inventory
    would do; the kept markers still have the hashes."""
    inherited = {
        (key.rpartition("/")[0], batch)
        for key, batches in state.read(layout).inherits.items()
        for batch in batches
    }
    markers = layout.root / "markers"
    for marker in markers.glob("*/*.tsv"):
        names = marker.parent.name, marker.stem
        if names not in inherited:
            layout.journal(*names).unlink(missing_ok=True)
    if markers.exists():
        shutil.rmtree(markers)


def launch(
    screen: Screen,
    file: Path,
    log: Path,
    *,
    cores: int | None = None,
    verbose: bool = False,
    debug: bool = False,
    **extra: str,
) -> Launch:
    """How to run the workflow with the configuration ``file``, in the folder of that file."""
    env = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"} | extra
    if debug:
        env["WAYBILL_DEBUG"] = "1"
    log.unlink(missing_ok=True)
    if verbose or debug:
        screen.note(f"state {file.parent}")
        screen.note(f"log   {log}")
    return Launch(
        file.parent, file.name, log, cores=cores, env=env, echo=screen.note if debug else None
    )
