"""Differences: how the two sides of one entry differ, and the action that follows."""

from __future__ import annotations

from typing import NamedTuple

from waybill.model.entries import LocalEntry

UNCHANGED, NEW, CHANGED, ONLY_THERE, FAILED = "=", "+", "*", "-", "!"
UNDECIDED = "?"  # in a plan that reads no file and asks S3 about no object


KEEP, MOVE, REFUSE = "keep", "move", "refuse"
LOOK = "look"  # of an undecided entry: the run looks closer, then keeps, moves or refuses it


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
