"""Which run owns a place in a bucket, for transfers that do not know each other.

Two sequencers may give two runs the same name, and two transfers may have the same destination.
Then the files of one run would replace those of the other. So the first run that goes to a place
owns it. ``{uploads}/places/{digest}.json`` has ``place``, the address, and ``run``, the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path

from waybill.system import foreign_json
from waybill.system.files import write_atomic

FOLDER = "places"


def claim(uploads: Path, url: str, run: Path, *, take: bool = True) -> Path | None:
    """Claim the place ``url`` for ``run``. Returns the owner when it is another run, else None.

    An owner that is gone from its folder, for example because it was moved, loses its place. With
    ``take`` False nothing is written. Raises OSError.
    """
    file = uploads / FOLDER / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
    owner = _owner(file)
    if owner is None and take:
        _create(file, url, run)
        owner = _owner(file)
    if owner is None or owner == run:
        return None
    if not _is_gone(owner):
        return owner
    if take:
        write_atomic(file, _document(url, run))
    return None


def _owner(file: Path) -> Path | None:
    try:
        found = foreign_json.loads(file.read_bytes())
        return Path(found["run"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def _create(file: Path, url: str, run: Path) -> None:
    """Create the file with its content in one step, unless another process was faster. A damaged
    file is replaced."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        write_atomic(file, _document(url, run))
        return
    whole = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        whole.write_bytes(_document(url, run))
        with contextlib.suppress(FileExistsError):
            os.link(whole, file)
    finally:
        whole.unlink(missing_ok=True)


def _document(url: str, run: Path) -> bytes:
    return json.dumps({"place": url, "run": str(run)}, indent=1).encode()


def _is_gone(run: Path) -> bool:
    """Whether a run no longer exists. A disk that is not mounted leaves an empty folder: its runs
    are not gone."""
    if run.exists():
        return False
    try:
        with os.scandir(run.parent) as scan:
            return any(True for _ in scan)
    except OSError:
        return False
