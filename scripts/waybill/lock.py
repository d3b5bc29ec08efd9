"""A lock on a transfer's results that dies with its holder, however the holder ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from waybill.errors import WaybillError


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
