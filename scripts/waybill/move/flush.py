"""Puts files on disk (fsync) in groups: a file system commits a group at the cost of one file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from waybill.move.partial import Partial
from waybill.system.futures import error_of
from waybill.system.root import Folder

GROUP = 64
GROUP_SECONDS = 0.1  # how long the first file of a group waits for others
OPEN_FILES = 256  # open at one time, each with its folder; a process may have 1,024 open

Done = Callable[[BaseException | None], None]


class Sync:
    """Puts files on disk in groups. ``submit`` runs the work of one group in a thread. A group that
    is not full waits for ``flush``."""

    def __init__(self, submit: Callable[[Callable[[], None]], object]) -> None:
        self._submit = submit
        self._group: list[tuple[Partial, Done]] = []
        self._begun = 0.0  # seconds of the monotonic clock

    @property
    def waiting(self) -> int:
        """How many files wait for their group to be full."""
        return len(self._group)

    @property
    def is_due(self) -> bool:
        """Whether the first file of the group has waited for longer than ``GROUP_SECONDS``."""
        return bool(self._group) and time.monotonic() - self._begun > GROUP_SECONDS

    def add(self, file: Partial, done: Done) -> None:
        """Have an open file put on disk. ``done`` is called with the error, or None."""
        if not self._group:
            self._begun = time.monotonic()
        self._group.append((file, done))
        if len(self._group) >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Put the present group on disk without waiting for more files."""
        group, self._group = self._group, []
        if group:
            self._submit(partial(_sync, group))


def _sync(group: list[tuple[Partial, Done]]) -> None:
    for file, _ in group:
        file.begin_sync()
    for file, done in group:
        done(error_of(file.sync))


def sync_folder(folder: Folder) -> None:
    """Put the names in a folder on disk. Errors are ignored: not every file system can do it."""
    with suppress(OSError):
        descriptor = folder.readable()
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
