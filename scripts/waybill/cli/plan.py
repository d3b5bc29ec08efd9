"""The plan of a command, read from the plan.tsv that target ``plan`` has written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from waybill.model import difference
from waybill.model.escaping import unescape
from waybill.model.units import format_size
from waybill.move.diff import ONLY_A_HASH
from waybill.results.batch_tables import PLAN_COLUMNS
from waybill.results.manifest import natural_key
from waybill.system import tsv

NEW, CHANGED, FORCED, UNKNOWN = "new", "changed", "forced", "cannot be compared"
SAME_SIZE, ASK_S3 = "? same size", "? only S3 could tell"  # of files that a plan is not sure of

_WHAT = {
    difference.NEW: NEW,
    difference.CHANGED: CHANGED,
    difference.UNCHANGED: FORCED,
    difference.UNDECIDED: FORCED,
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
    """The files of a plan. ``moves`` are to be moved, in natural order. So are ``unsure``, if they
    turn out to have changed. ``refused``, ``held`` and ``skipped`` are (path, reason). ``same`` are
    up to date; ``only_there`` counts files that only the destination has. ``datasets`` are the
    names of those that have any of these."""

    moves: list[Move] = field(default_factory=list)
    unsure: list[Move] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    only_there: int = 0
    datasets: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Bytes to be moved."""
        return sum(move.size for move in self.moves)

    @property
    def found(self) -> int:
        """Files the plan is about."""
        return len(self.moves) + len(self.unsure) + len(self.same)

    def reasons(self) -> str:
        """How many files and bytes are to be moved for which reason; ``""`` for none."""
        counts: dict[str, tuple[int, int]] = {}
        for move in (*self.moves, *self.unsure):
            files, size = counts.get(move.what, (0, 0))
            counts[move.what] = files + 1, size + move.size
        told = sorted(counts.items(), key=lambda item: -item[1][1])
        return ", ".join(f"{n} {what} ({format_size(size)})" for what, (n, size) in told)

    def paths(self) -> Iterator[str]:
        """The paths of all selected files, moved or not."""
        yield from (move.path for move in (*self.moves, *self.unsure))
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
        plan.datasets.add(dataset)
        if action == difference.KEEP and not forced:
            plan.same.append(name)
        elif action in (difference.KEEP, difference.MOVE):
            plan.moves.append(Move(dataset, name, size, sha256, _WHAT[status]))
        elif action == difference.LOOK:
            what = SAME_SIZE if reason.startswith(ONLY_A_HASH) else ASK_S3
            plan.unsure.append(Move(dataset, name, size, sha256, what))
        elif action == difference.REFUSE:
            plan.refused.append((name, reason))
        elif status == difference.ONLY_THERE:
            plan.only_there += 1
        else:
            why, _, text = reason.partition(": ")
            kind = {"held back": plan.held, "skipped": plan.skipped}.get(why, plan.refused)
            kind.append((name, text))
    for moves in (plan.moves, plan.unsure):
        moves.sort(key=lambda move: natural_key(move.path))
    plan.same.sort(key=natural_key)
    plan.refused.sort(key=lambda item: natural_key(item[0]))
    return plan


def _entry(row: list[str]) -> tuple[str, str, str, str, int, str, str, str]:
    dataset, status, action, path, size, mtime_ns, sha256, reason = row
    if status not in _WHAT and status != difference.ONLY_THERE:
        raise ValueError(f"no status: {status!r}")
    return dataset, status, action, path, int(size or 0), mtime_ns, sha256, reason
