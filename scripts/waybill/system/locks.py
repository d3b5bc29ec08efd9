"""Locks that end with the process that holds them, in every case (``flock``).

All locks are taken by ``try_lock``. On a file system without locks, work goes on, and a log line
says so. Without locks there is other protection: writes to S3 are conditional, files get their
names in one step, and copies of a job find in the journal what is done.
"""

from __future__ import annotations

import fcntl
import logging
import os
from enum import Enum, auto
from pathlib import Path

from waybill.model.errors import WaybillError

log = logging.getLogger(__name__)


class Lock(Enum):
    """What became of trying to lock a file."""

    HELD = auto()  # by this process, until the descriptor is closed
    BUSY = auto()  # held by another process, or over another descriptor
    UNSUPPORTED = auto()  # a file system without locks


def try_lock(descriptor: int, *, shared: bool = False) -> Lock:
    """Lock an open file or folder, without waiting; ``shared`` with others who share it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.BUSY
    except OSError:
        return Lock.UNSUPPORTED
    return Lock.HELD


def sign(descriptor: int, text: str) -> None:
    """Write into a lock file who holds it."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def holder(descriptor: int) -> str:
    """The last signature in a lock file; ``""`` when there is none or it cannot be read."""
    try:
        return os.pread(descriptor, 200, 0).decode(errors="replace").strip()
    except OSError:
        return ""


def lock(path: Path) -> int:
    """Lock ``path`` until this process ends. Raises WaybillError when another process has it or
    it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WaybillError(f"{path.parent}: cannot be written: {error.strerror}") from None
    found = try_lock(descriptor)
    if found is Lock.BUSY:
        name = holder(descriptor)
        os.close(descriptor)
        raise WaybillError(
            f"{path.parent}: another run is at work here ({name}); wait until it has ended"
        )
    if found is Lock.UNSUPPORTED:
        log.warning(
            "%s: the file system has no locks; see to it that no other run uses this folder"
            " (Lustre has them with the mount option flock)",
            path.parent,
        )
    sign(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n")
    return descriptor


def lock_folder(folder: Path) -> int | None:
    """Lock a destination folder for downloads until this process ends; it is made if it does not
    exist. Returns None where folders cannot be locked; then only single files are locked. Raises
    WaybillError when another process holds the folder, or when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise WaybillError(f"{folder}: cannot be used: {error.strerror}") from None
    found = try_lock(descriptor)
    if found is Lock.HELD:
        return descriptor
    os.close(descriptor)
    if found is Lock.BUSY:
        raise WaybillError(
            f"{folder}: another run downloads into this folder; wait until it has ended"
        )
    return None
