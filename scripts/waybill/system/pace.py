"""The pace of bytes: all processes of a user on this machine that share a name keep one limit."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import os
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import TypeVar

from waybill.model.bandwidth import Bandwidth

Block = TypeVar("Block", bytes, memoryview)

log = logging.getLogger(__name__)

PIECES_PER_SECOND = 8  # of the bytes of one second: so evenly they go
SMALLEST_PIECE, LARGEST_PIECE = 4 << 10, 256 << 10
CREDIT_SECONDS = 0.1  # of bytes that may be made up for, when a wait was longer than asked for
# A reservation further ahead is of another start of the machine; its clock began anew.
FAR_SECONDS = 600.0
# Not TMPDIR, which clusters set for each job.
_FOLDERS = ("/dev/shm", "/tmp")
_FREE_AT = struct.Struct("d")


def _minute() -> int:
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


class Pace:
    """Limits bytes per second, to ``bandwidth``; None means no limit. Safe to use from threads.

    ``name`` stands for what is limited. The processes that use the same name share the limit, by a
    file that has the moment (of the monotonic clock, seconds) from which further bytes may go. If
    there can be no such file, each process keeps the limit by itself. ``clock``, ``minute`` (of the
    day) and ``folders`` can be replaced in tests.
    """

    def __init__(
        self,
        bandwidth: Bandwidth | None,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        minute: Callable[[], int] = _minute,
        folders: tuple[str, ...] = _FOLDERS,
    ) -> None:
        self._bandwidth = bandwidth
        self._clock, self._sleep, self._minute = clock, sleep, minute
        self._lock = Lock()
        self._free_at = -math.inf
        self._file = _open(name, folders) if bandwidth is not None else -1

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            file, self._file = self._file, -1
            if file >= 0:
                os.close(file)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at any time of the day."""
        return self._bandwidth is not None

    @property
    def piece(self) -> int:
        """How many bytes to send or take at one time, so that they go evenly."""
        limit = self._limit
        if limit is None:
            return LARGEST_PIECE
        return max(SMALLEST_PIECE, min(LARGEST_PIECE, limit // PIECES_PER_SECOND))

    @property
    def _limit(self) -> int | None:
        return None if self._bandwidth is None else self._bandwidth.at(self._minute())

    def reserve(self, count: int) -> float:
        """Reserve ``count`` bytes. Returns the seconds after which they may go."""
        limit = self._limit
        if limit is None:
            return 0.0
        with self._lock:
            if self._file < 0:
                start, self._free_at = self._next(self._free_at, count / limit)
            else:
                start = self._reserve_with_others(count / limit)
        return max(0.0, start - self._clock())

    def spend(self, count: int) -> None:
        """Reserve ``count`` bytes and wait until they may go."""
        if (seconds := self.reserve(count)) > 0:
            self._sleep(seconds)

    def spent(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks, cut into pieces, each when its bytes may go."""
        for block in blocks:
            step = self.piece
            for start in range(0, len(block), step):
                piece = block if len(block) <= step else block[start : start + step]
                self.spend(len(piece))
                yield piece

    def _next(self, free_at: float, seconds: float) -> tuple[float, float]:
        """When bytes that take so many seconds may go, and when those after them may."""
        now = self._clock()
        if not free_at < now + FAR_SECONDS:
            free_at = now
        start = max(now - CREDIT_SECONDS, free_at)
        return start, start + seconds

    def _reserve_with_others(self, seconds: float) -> float:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            found = os.pread(self._file, _FREE_AT.size, 0)
            before = _FREE_AT.unpack(found)[0] if len(found) == _FREE_AT.size else -math.inf
            start, free_at = self._next(before, seconds)
            os.pwrite(self._file, _FREE_AT.pack(free_at), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return start


def _open(name: str, folders: tuple[str, ...]) -> int:
    """The file of a name, below a folder that nobody else can write to; -1 if there can be none."""
    errors = []
    for above in folders:
        folder = Path(above, f"waybill-{os.getuid()}")
        try:
            try:
                folder.mkdir(0o700)
            except FileExistsError:
                found = folder.lstat()
                ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
                if not ours or found.st_mode & 0o022:
                    raise PermissionError(f"{folder} belongs to others") from None
            file = folder / f"pace-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            errors.append(str(error))
    log.info("the limit is of this job alone: %s", "; ".join(errors))
    return -1
