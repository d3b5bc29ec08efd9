"""What a run is about to do, read from the tables its first half left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from waybill import diff
from waybill.inventory import ASIDE_COLUMNS
from waybill.layout import Layout
from waybill.manifest import natural_key
from waybill.tables import rows, unescape

NEW, CHANGED, FORCED, UNKNOWN = "new", "changed", "forced", "cannot be compared"

_WHAT = {
    diff.NEW: NEW,
    diff.CHANGED: CHANGED,
    diff.UNCHANGED: FORCED,
    diff.FAILED: UNKNOWN,
}


class Move(NamedTuple):
    """One file that is to be moved, and why."""

    path: str
    size: int
    sha256: str
    what: str
    dataset: str
    batch: str


@dataclass(slots=True)
class Plan:
    """What is to be moved, in natural order, and what is not: ``refused``, ``held`` and
    ``skipped`` are (path, reason)."""

    moves: list[Move] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    only_there: int = 0

    @property
    def size(self) -> int:
        """Bytes to be moved."""
        return sum(move.size for move in self.moves)

    @property
    def found(self) -> int:
        """Files the plan is about."""
        return len(self.moves) + len(self.same)


def is_complete(layout: Layout) -> bool:
    """Whether every batch of the last inventory has been hashed and compared."""
    return all(
        layout.checksums(*batch).exists() and layout.diff(*batch).exists()
        for batch in layout.batches()
    )


def read(layout: Layout, *, forced: bool = False) -> Plan:
    """The plan of one transfer. ``forced`` shows what it would be if everything were sent again.

    The diff tables of proven batches tell of the time before they moved, and so does plan.tsv:
    what a marker proves is up to date.
    """
    plan = Plan()
    for dataset, batch in layout.batches():
        proven = _is_proven(layout, dataset, batch)
        for item in diff.read_table(layout.diff(dataset, batch)):
            if item.action == diff.REFUSE and not proven:
                plan.refused.append((item.path, item.reason))
            elif (proven or item.action == diff.KEEP) and not forced:
                plan.same.append(item.path)
            else:
                what = FORCED if proven else _WHAT[item.status]
                plan.moves.append(Move(item.path, item.size, item.sha256, what, dataset, batch))
    for status, path, reason in _aside(layout):
        if status == diff.ONLY_THERE:
            plan.only_there += 1
        else:
            why, _, text = reason.partition(": ")
            kind = {"held back": plan.held, "skipped": plan.skipped}.get(why, plan.refused)
            kind.append((path, text))
    plan.moves.sort(key=lambda move: natural_key(move.path))
    plan.same.sort(key=natural_key)
    plan.refused.sort(key=lambda item: natural_key(item[0]))
    return plan


def _is_proven(layout: Layout, dataset: str, batch: str) -> bool:
    """Whether the marker stands and is not older than the diff table it follows from."""
    try:
        marker = layout.marker(dataset, batch).stat()
    except FileNotFoundError:
        return False
    return marker.st_mtime_ns >= layout.diff(dataset, batch).stat().st_mtime_ns


def _aside(layout: Layout) -> Iterator[tuple[str, str, str]]:
    for table in sorted(layout.inventory.glob("*.aside.tsv")):
        for status, path, _size, reason in rows(table, ASIDE_COLUMNS):
            yield status, unescape(path), unescape(reason)
