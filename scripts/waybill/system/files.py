"""Files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from waybill.system.locks import Lock, try_lock


def write_atomic(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    sync: bool = False,
    before: Callable[[str], None] | None = None,
) -> None:
    """Put ``data`` at ``path`` in one step: readers see the old file or the whole new one.

    The temporary name is unique to the process, so the same job run twice at once stays right.
    ``sync`` asks the file system to have the bytes on disk before the rename; ``before`` is called
    with their SHA-256 (hex) before the rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file, held = _begin(path)
    temporary = Path(file.name)
    digest = hashlib.sha256()
    try:
        with file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
                if before is not None:
                    digest.update(piece)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if before is not None:
            before(digest.hexdigest())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)


def _begin(path: Path) -> tuple[BinaryIO, int]:
    """A temporary file beside ``path``, and a descriptor that holds it locked, so that nobody takes
    it for a leftover. (The file is closed before it is renamed: some file systems tell only then
    that they have no room for it.)"""
    while True:
        token = f"{os.getpid()}.{secrets.token_hex(4)}"
        file = path.with_name(f".{path.name}.{token}.tmp").open("xb")
        if try_lock(file.fileno()) is Lock.BUSY:  # by one who is about to remove a leftover
            file.close()
            continue
        if os.fstat(file.fileno()).st_nlink:
            return file, os.dup(file.fileno())
        file.close()


def drop_leftover(path: Path, older_than: float) -> bool:
    """Remove what a killed ``write_atomic`` left under its temporary name. Whoever still writes
    a file holds it locked; on a file system without locks one that is older than the time
    ``older_than`` (seconds since the epoch) was left. Tells whether it removed it."""
    try:
        with path.open("rb") as file:
            found = try_lock(file.fileno())
            young = os.fstat(file.fileno()).st_mtime > older_than
            if found is Lock.BUSY or (found is Lock.UNSUPPORTED and young):
                return False
            path.unlink()
            return True
    except OSError:  # gone meanwhile, or not to be removed: it harms nobody
        return False
