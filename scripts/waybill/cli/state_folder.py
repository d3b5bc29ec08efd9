"""What a door keeps between its runs: a configuration, tables, journals and markers, a log."""

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
    """The folder of all that a door keeps."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = given if given.is_absolute() else Path.home() / ".local" / "state"
    return base / "waybill" / door


def digest(*parts: str | Path) -> str:
    """A short name for what ``parts`` are together."""
    return hashlib.sha256(b"\0".join(map(os.fsencode, parts))).hexdigest()[:12]


def configure(file: Path, text: str) -> dict[str, Transfer]:
    """Write the configuration and read it back as the workflow will.

    Raises ConfigError whose problems begin with the key, as the user did not write this file.
    """
    write_atomic(file, text.encode())
    try:
        return read.load(file, directory=file.parent)
    except ConfigError as error:
        place = re.compile(rf"{re.escape(str(file))}: (?:transfers\.[\w-]+|defaults)\.")
        problems = dict.fromkeys(place.sub("", problem, count=1) for problem in error.problems)
        raise ConfigError(list(problems)) from None


def configured(file: Path) -> dict[str, Transfer]:
    """The transfers of the last run; none when that cannot be told."""
    try:
        return read.load(file, directory=file.parent)
    except ConfigError:
        return {}


def forget_proofs(layout: Layout) -> None:
    """Have every file looked at again: Snakemake would else compare with what was there before
    the last run. The journal of a proven batch goes too, as an inventory that found the marker
    would see to it; the kept marker still tells its hashes."""
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
    """How to run the workflow over the configuration ``file`` in its own folder."""
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
