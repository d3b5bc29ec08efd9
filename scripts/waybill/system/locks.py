"""A lock on a transfer's results that dies with its holder, however the holder ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from waybill.model.errors import WaybillError


def lock(path: Path) -> int:
    """Hold ``path`` locked until this process ends, however it ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WaybillError(f"{path.parent}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise WaybillError(
            f"{path.parent}: another run is at work here ({holder}); wait until it has ended"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    return descriptor


def lock_folder(folder: Path) -> int | None:
    """Hold a destination folder for downloads until this process ends; it is made if it is not
    there. None on a file system that has no locks for folders, where the lock on each single file
    has to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise WaybillError(f"{folder}: cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WaybillError(
            f"{folder}: another run downloads into this folder; wait until it has ended"
        ) from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
