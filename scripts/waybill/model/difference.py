"""Differences: how the two sides of one entry differ, and the action that follows."""

from __future__ import annotations

from typing import NamedTuple

from waybill.model.entries import LocalEntry

UNCHANGED, NEW, CHANGED, ONLY_THERE, FAILED = "=", "+", "*", "-", "!"


KEEP, MOVE, REFUSE = "keep", "move", "refuse"


class Difference(NamedTuple):
    """One entry of a diff table; ``sha256`` is empty when the file could not be hashed."""

    status: str
    action: str
    path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str
    etag: str
    time: str
    reason: str

    @property
    def entry(self) -> LocalEntry:
        return LocalEntry(self.path, self.size, self.mtime_ns, self.inode)
