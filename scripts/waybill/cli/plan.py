"""The plan of a command, read from the plan.tsv that target ``plan`` has written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from waybill.model import difference
from waybill.model.escaping import unescape
from waybill.results.batch_tables import PLAN_COLUMNS
from waybill.results.manifest import natural_key
from waybill.system import tsv

NEW, CHANGED, FORCED, UNKNOWN = "new", "changed", "forced", "cannot be compared"

_WHAT = {
    difference.NEW: NEW,
    difference.CHANGED: CHANGED,
    difference.UNCHANGED: FORCED,
    difference.FAILED: UNKNOWN,
}


class Move(NamedTuple):
    """One file that is to be moved, and why."""

    dataset: str
    path: str
    size: int
    sha256: str
    what: str


@dataclass(slots=True)
class Plan:
    """The files of a plan. ``moves`` are to be moved, in natural order. ``refused``, ``held`` and
    ``skipped`` are (path, reason). ``same`` are up to date; ``only_there`` counts files that only
    the destination has."""

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

    def paths(self) -> Iterator[str]:
        """The paths of all selected files, moved or not."""
        yield from (move.path for move in self.moves)
        yield from self.same
        for aside in (self.refused, self.held, self.skipped):
            yield from (path for path, _ in aside)


def read(table: Path, *, forced: bool = False) -> Plan:
    """The plan in a plan.tsv. With ``forced``, files to be kept count as files to be moved."""
    plan = Plan()
    for dataset, status, action, path, size, _mtime, sha256, reason in tsv.read(
        table, PLAN_COLUMNS, _entry
    ):
        name = unescape(path)
        if action == difference.KEEP and not forced:
            plan.same.append(name)
        elif action in (difference.KEEP, difference.MOVE):
            plan.moves.append(Move(dataset, name, size, sha256, _WHAT[status]))
        elif action == difference.REFUSE:
            plan.refused.append((name, reason))
        elif status == difference.ONLY_THERE:
            plan.only_there += 1
        else:
            why, _, text = reason.partition(": ")
            kind = {"held back": plan.held, "skipped": plan.skipped}.get(why, plan.refused)
            kind.append((name, text))
    plan.moves.sort(key=lambda move: natural_key(move.path))
    plan.same.sort(key=natural_key)
    plan.refused.sort(key=lambda item: natural_key(item[0]))
    return plan


def _entry(row: list[str]) -> tuple[str, str, str, str, int, str, str, str]:
    dataset, status, action, path, size, mtime_ns, sha256, reason = row
    if status not in _WHAT and status != difference.ONLY_THERE:
        raise ValueError(f"no status: {status!r}")
    return dataset, status, action, path, int(size or 0), mtime_ns, sha256, reason
