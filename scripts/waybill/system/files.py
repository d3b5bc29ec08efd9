"""Writes a file as a whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from waybill.system.locks import Lock, try_lock

log = logging.getLogger(__name__)

# What a file system answers that does not know a call; a network file system may answer EINVAL.
UNKNOWN_CALL = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

_told: set[str] = set()  # the folders that were named


def sync_file(descriptor: int) -> OSError | None:
    """Wait until an open file is on disk. Returns the error of a file system that cannot do that;
    raises every other OSError, because then the bytes may be lost."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN_CALL:
            raise
        return error
    return None


def allocate(descriptor: int, size: int) -> None:
    """Take the room on the disk for the first ``size`` bytes of an open file. Nothing happens where
    the system cannot do that. (``os.posix_fallocate`` would write every block there instead.)
    Raises OSError, as when the disk is full."""
    import ctypes  # only large files need it

    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if fallocate is None:  # not on macOS, nor with musl
        return
    offset, length = ctypes.c_int64(0), ctypes.c_int64(size)
    while fallocate(descriptor, 0, offset, length):
        number = ctypes.get_errno()
        if number in UNKNOWN_CALL:
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def write_atomic(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    sync: bool = False,
    before: Callable[[str], None] | None = None,
) -> None:
    """Put ``data`` at ``path`` in one step: readers see the old file or the whole new one.

    The temporary name is unique, so two copies of a job may write the same file at once. With
    ``sync`` the bytes are on disk before the rename. ``before`` is called before the rename, with
    the SHA-256 (hex) of the bytes.
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
                if error := sync_file(file.fileno()):
                    _tell(path.parent, error)
        if before is not None:
            before(digest.hexdigest())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)


def _tell(folder: Path, error: OSError) -> None:
    """Say once that a power cut may cost the last files of a folder."""
    if str(folder) not in _told:
        _told.add(str(folder))
        text = "%s: the file system does not know fsync (%s): after a power cut, look again"
        log.info(text, folder, error.strerror)


def _begin(path: Path) -> tuple[BinaryIO, int]:
    """A temporary file beside ``path``, and a descriptor that keeps it locked, so that no process
    takes it for a leftover. (The file is closed before it is renamed: some file systems report only
    then that they have no room for it.)"""
    while True:
        token = f"{os.getpid()}.{secrets.token_hex(4)}"
        file = path.with_name(f".{path.name}.{token}.tmp").open("xb")
        if try_lock(file.fileno()) is Lock.BUSY:  # another process takes it for a leftover
            file.close()
            continue
        if os.fstat(file.fileno()).st_nlink:
            return file, os.dup(file.fileno())
        file.close()


def identity(path: Path) -> tuple[int, int, int] | None:
    """What differs between two files that stood at ``path`` one after the other, and between two
    states of one: inode, modification time (ns since the epoch), size (bytes). None when none is
    there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def drop_leftover(path: Path, older_than: float) -> bool:
    """Remove the temporary file of a killed ``write_atomic``. Returns whether it was removed.

    A file that is still being written is locked, and stays. On a file system without locks a file
    stays when it was modified after ``older_than`` (seconds since the epoch).
    """
    try:
        with path.open("rb") as file:
            found = try_lock(file.fileno())
            young = os.fstat(file.fileno()).st_mtime > older_than
            if found is Lock.BUSY or (found is Lock.UNSUPPORTED and young):
                return False
            path.unlink()
            return True
    except OSError:  # gone meanwhile, or cannot be removed: it does no harm
        return False
