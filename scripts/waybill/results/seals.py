"""Seals: the SHA-256 of every file under ``results/{transfer}`` that later jobs rely on.

A file of seals is called a ledger. ``seals/{dataset}/{batch}.sha256`` is the ledger of the tables
of one batch. ``seals/results.sha256`` is the ledger of the files that exist once for the transfer
or once for each dataset. Ledgers have the format of ``sha256sum``, with names relative to
``results/{transfer}``. They are never Snakemake outputs.

A file is sealed just before it gets its name. A kill between the two steps leaves two lines for
this name: the seal of the old file and that of the new one. Either is accepted until the next
inventory (``results.audit``) removes one. A file without a line comes from a version without seals,
or its line was lost; the file is accepted when it can be parsed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from waybill.model.errors import DamagedError
from waybill.results import sha256sum
from waybill.results.layout import Layout
from waybill.system.files import write_atomic

Seals = dict[str, set[str]]  # the names in a ledger, each with the SHA-256 (hex) it may have

OTHER_BYTES = "its bytes are not those that were written"

_POLL_SECONDS = 0.5


def write(layout: Layout, path: Path, data: bytes | Iterable[bytes], *, sync: bool = False) -> None:
    """Write a file of the results in one step (``system.files.write_atomic``) and seal it."""

    def seal(sha256: str) -> None:
        add(layout.seals_of(path), {layout.name_of(path): sha256})

    write_atomic(path, data, sync=sync, before=seal)


def write_if_changed(layout: Layout, path: Path, data: bytes) -> None:
    """Write and seal a file, unless it holds these bytes already. An unchanged file keeps its
    mtime, so that Snakemake runs nothing that depends on it."""
    if holds(path, data):
        return
    write(layout, path, data)


def holds(path: Path, data: bytes) -> bool:
    """Whether a file is there and holds exactly these bytes."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def add(ledger: Path, sha256_by_name: Mapping[str, str]) -> None:
    """Append seals, a name to its SHA-256 (hex) each, to a ledger in one write."""
    lines = sha256sum.render(sha256_by_name.items())
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("ab+", buffering=0) as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":  # ends the line a kill may have torn
                lines = b"\n" + lines
        file.write(lines)


def keep_only(layout: Layout, ledger: Path, paths: Iterable[Path]) -> None:
    """Remove the seals of all other files from a ledger, and the ledger when none is left."""
    known, names = read(ledger), {layout.name_of(path) for path in paths}
    lines = [(name, sha256) for name in known.keys() & names for sha256 in sorted(known[name])]
    if lines:
        write_atomic(ledger, sha256sum.render(lines))
    else:
        ledger.unlink(missing_ok=True)


def read(ledger: Path) -> Seals:
    """The seals in a ledger; none when there is no ledger. Torn and damaged lines are ignored."""
    try:
        data = ledger.read_bytes()
    except FileNotFoundError:
        return {}
    found: Seals = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if pair := sha256sum.parse(line):
            found.setdefault(pair[0], set()).add(pair[1])
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 (hex) of a file's bytes. Raises FileNotFoundError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(layout: Layout, paths: Iterable[Path], patience: float = 0) -> None:
    """Raise DamagedError for a file that differs from its seal. A file that is missing or has no
    seal passes. A shared file system may show a file before its seal, so a file that differs is
    checked again for ``patience`` seconds."""
    ledgers: dict[Path, Seals] = {}
    for path in paths:
        ledger, name = layout.seals_of(path), layout.name_of(path)
        if ledger not in ledgers:
            ledgers[ledger] = read(ledger)
        end = time.monotonic() + patience
        while (why := differs(ledgers[ledger].get(name), path)) is not None:
            if time.monotonic() >= end:
                raise DamagedError(path, why)
            time.sleep(_POLL_SECONDS)
            ledgers[ledger] = read(ledger)


def differs(sealed: set[str] | None, path: Path) -> str | None:
    """Why a file differs from all of its seals; None when it does not, is missing or has none."""
    try:
        if not sealed or sha256_of(path) in sealed:
            return None
    except FileNotFoundError:
        return None
    return OTHER_BYTES
