"""The entries of a transfer as tables of pandas: the state of each, and what they add up to.

The tables of one batch are read at a time, so the memory depends on the largest batch and on how
many rows are kept, not on the size of the transfer.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from waybill.model import difference
from waybill.model.errors import DamagedError
from waybill.model.escaping import escape
from waybill.report import states
from waybill.results import journal, marker
from waybill.results.batch_tables import (
    ASIDE_COLUMNS,
    DIFF_COLUMNS,
    LOCAL_COLUMNS,
    PLAN_COLUMNS,
    REMOTE_COLUMNS,
)
from waybill.results.layout import FOUND, LOCAL_SUFFIX, Layout

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.outcome import Failed
    from waybill.results.state import State

MOST_KEPT = 100_000  # rows on the page
MOST_PLANNED = 1_000_000  # rows of a plan that are read
Table = Any  # a DataFrame: the types that pandas declares know too few of its uses
COLUMNS = ("dataset", "path", "size", "state", "moved", "reason", "sha256")

_STATES = {
    difference.UNCHANGED: states.PROVEN,
    difference.NEW: states.OPEN,
    difference.CHANGED: states.OPEN,
    difference.ONLY_THERE: states.ONLY_THERE,
    difference.FAILED: states.FAILED,
}
_WORST = {state.word: number for number, state in enumerate(states.STATES)}


@dataclass(slots=True)
class Entries:
    """All entries of a transfer.

    ``kept`` has the columns ``COLUMNS``, the worst entries first and then the largest: ``path`` as
    in the tables (escaped), ``size`` in bytes (-1: not known), ``state`` a word of
    ``report.states``, ``moved`` whether the last run moved it, ``reason`` and ``sha256`` (hex) or
    empty. ``total`` is the number of all entries. ``counts`` maps (dataset, word of the state) to
    files and bytes. ``sizes`` maps ``n`` (4^n bytes and more; -1 for empty files) to files and
    bytes. ``moved`` maps (dataset, batch) to files and bytes that the last run moved. ``damaged``
    has a line for each table that cannot be read.
    """

    kept: Table = field(default_factory=lambda: _table(dict.fromkeys(COLUMNS, ())))
    total: int = 0
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    moved: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def of(self, *words: str, dataset: str | None = None) -> tuple[int, int]:
        """Files and bytes in these states, of one dataset or of all."""
        found = [
            count
            for (name, word), count in self.counts.items()
            if word in words and dataset in (None, name)
        ]
        return sum(files for files, _ in found), sum(size for _, size in found)


def read(
    transfer: Transfer,
    layout: Layout,
    seen: State,
    failures: Iterable[Failed],
    run: str,
    moved: Callable[[Path, str], Mapping[str, int]] = journal.moved,
) -> Entries:
    """The entries that the last inventory saw, as the results tell of them now. ``failures`` are
    those that stand. ``run`` names the inventory of the last run that moved something, ``moved`` is
    the reader of a journal."""
    return _Reader(transfer, layout, seen, failures, run, moved).read()


class _Reader:
    """Reads the tables of a transfer, one batch at a time."""

    def __init__(
        self,
        transfer: Transfer,
        layout: Layout,
        seen: State,
        failures: Iterable[Failed],
        run: str,
        moved: Callable[[Path, str], Mapping[str, int]],
    ) -> None:
        self._transfer, self._layout, self._seen = transfer, layout, seen
        self._run, self._moved = run, moved
        self._failed = {(f.dataset, escape(f.path)): f.message for f in failures if f.path}
        self._untold = dict(self._failed)  # those whose entry is in no table
        self._found = Entries()
        self._kept: list[Table] = []
        self._plan: dict[str, dict[str, tuple[str, str]]] = {}

    def read(self) -> Entries:
        layout, found = self._layout, self._found
        self._guarded(self._read_plan)
        for dataset in dict.fromkeys([*self._seen.places, FOUND]):
            tables = layout.tables(dataset)
            for table in sorted(tables.glob(f"[!.]*{LOCAL_SUFFIX}")):
                of = dataset, table.name.removesuffix(LOCAL_SUFFIX)
                self._guarded(lambda of=of: self._keep(self._batch(*of)))
            if layout.aside(dataset).exists():
                self._guarded(lambda name=dataset: self._keep(self._aside(name), sized=False))
        if self._untold:
            self._keep(self._of_no_table(), sized=False)
        found.kept = self._worst()
        return found

    def _guarded(self, step: Callable[[], None]) -> None:
        """Take a step. A table that cannot be read is named on the page, and its entries are
        missing there."""
        try:
            step()
        except FileNotFoundError as error:
            self._found.damaged.append(f"{error.filename}: is gone; run again")
        except DamagedError as error:
            self._found.damaged.append(str(error))

    def _batch(self, dataset: str, batch: str) -> Table:
        layout, of = self._layout, (dataset, batch)
        records = layout.journal(*of)
        arrived = {escape(path) for path in self._moved(records, self._run)}
        proof = layout.marker(*of)
        if proof.exists():
            rows = _read(proof, marker.COLUMNS, dataset, states.PROVEN, added=1)
            rows["moved"] = rows["path"].isin(arrived)
        else:
            rows = self._unproven(dataset, batch)
            now = {escape(path) for path in self._moved(records, self._seen.run)}
            rows["moved"] = rows["path"].isin(arrived)
            rows.loc[rows["path"].isin(now), ["state", "reason"]] = states.PROVEN.word, ""
        self._tell_failures(rows, states.FAILED)
        sizes = rows.loc[rows["moved"], "size"]
        if len(sizes):
            self._found.moved[of] = (len(sizes), int(sizes.sum()))
        return rows

    def _unproven(self, dataset: str, batch: str) -> Table:
        """The entries of a batch without a marker, as its diff tells of them, or else the plan."""
        upload = self._transfer.direction == "upload"
        inventory = (self._layout.local if upload else self._layout.remote)(dataset, batch)
        diff = self._layout.diff(dataset, batch)
        if diff.exists() and diff.stat().st_mtime_ns >= inventory.stat().st_mtime_ns:
            return _read(diff, DIFF_COLUMNS, dataset)
        columns = LOCAL_COLUMNS if upload else REMOTE_COLUMNS
        rows = _read(inventory, columns, dataset, states.UNDECIDED)
        if plan := self._plan.get(dataset):
            unknown = (states.UNDECIDED.word, "")
            told = [plan.get(path, unknown) for path in rows["path"]]
            rows["state"], rows["reason"] = [w for w, _ in told], [reason for _, reason in told]
        return rows

    def _aside(self, dataset: str) -> Table:
        """The entries of a dataset that are in no batch."""
        path = self._layout.aside(dataset)
        rows = _read(path, ASIDE_COLUMNS, dataset)
        for words, state in (("held back", states.HELD), ("skipped", states.SKIPPED)):
            rows.loc[rows["reason"].str.startswith(words), "state"] = state.word
        rest = rows["state"].eq(states.FAILED.word)
        rows.loc[rest, "state"] = states.REFUSED.word
        self._tell_failures(rows, states.REFUSED)
        return rows

    def _tell_failures(self, rows: Table, state: states.State) -> None:
        """Set the state and the reason of the entries that have failed. The failure of an inventory
        names no dataset; where there are several, its path begins with one."""
        if not self._failed:
            return
        keys = zip(rows["dataset"], rows["path"], strict=True)
        for row, (dataset, path) in zip(rows.index, keys, strict=True):
            for key in ((dataset, path), ("", path), ("", f"{dataset}/{path}")):
                if key in self._failed:
                    rows.loc[row, ["state", "reason"]] = state.word, self._failed[key]
                    self._untold.pop(key, None)

    def _of_no_table(self) -> Table:
        """The entries that failed and are in no table."""
        return _table(
            {
                "dataset": [dataset for dataset, _ in self._untold],
                "path": [path for _, path in self._untold],
                "size": -1,
                "state": states.FAILED.word,
                "moved": False,
                "reason": list(self._untold.values()),
                "sha256": "",
            }
        )

    def _read_plan(self) -> None:
        """What the plan says of each entry. A plan that is older than the inventory, or larger than
        ``MOST_PLANNED``, is left out."""
        path = self._layout.plan
        if not path.exists() or path.stat().st_mtime_ns < self._layout.state.stat().st_mtime_ns:
            return
        plan = read_table(path, PLAN_COLUMNS, most=MOST_PLANNED + 1)
        if len(plan) > MOST_PLANNED:
            return
        names = ["dataset", "status", "action", "path", "reason"]
        for dataset, status, action, name, reason in plan[names].itertuples(index=False):
            state = _state(status, action)
            self._plan.setdefault(dataset, {})[name] = (state.word, reason)

    def _keep(self, rows: Table, *, sized: bool = True) -> None:
        """Count the rows, and keep them while they are among the worst and largest. Rows that are
        not ``sized``, because they are in no batch, are not among ``Entries.sizes``."""
        found = self._found
        found.total += len(rows)
        for key, files, size in _summed(rows, ["dataset", "state"]):
            before = found.counts.get(key, (0, 0))
            found.counts[key] = (before[0] + files, before[1] + size)
        classes = rows["size"].map(_size_class)
        classed = rows.assign(size_class=classes) if sized else rows[:0].assign(size_class=0)
        for key, files, size in _summed(classed, ["size_class"]):
            before = found.sizes.get(key[0], (0, 0))
            found.sizes[key[0]] = (before[0] + files, before[1] + size)
        self._kept.append(rows)
        if sum(map(len, self._kept)) > 2 * MOST_KEPT:
            self._kept = [self._worst()]

    def _worst(self) -> Table:
        """The worst and then the largest of the rows so far."""
        if not self._kept:
            return Entries().kept
        rows: Table = pd.concat(self._kept, ignore_index=True)
        order = rows.assign(worst=rows["state"].map(_WORST)).sort_values(
            ["worst", "size", "dataset", "path"], ascending=[True, False, True, True]
        )
        return order[list(COLUMNS)].head(MOST_KEPT).reset_index(drop=True)


def read_table(
    path: Path, columns: Iterable[str], *, added: int = 0, most: int | None = None
) -> Table:
    """A table of the results, cells as text; ``most`` rows of it. The last ``added`` columns may be
    missing. Raises FileNotFoundError, and DamagedError when it is not such a table."""
    names = list(columns)
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False, nrows=most
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    if list(table.columns) not in [names[: len(names) - n] for n in range(added + 1)]:
        raise DamagedError(path, "not a table of this version")
    return table


def _read(
    path: Path,
    columns: Iterable[str],
    dataset: str,
    state: states.State | None = None,
    *,
    added: int = 0,
) -> Table:
    """A table of the results with the columns ``COLUMNS``; all of its entries are in ``state``, or
    each in that of its status and action. Raises FileNotFoundError, DamagedError."""
    table = read_table(path, columns, added=added)
    try:
        size = table["size"].replace("", "-1").astype("int64")
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    rows = _table({"dataset": dataset, "path": table["path"], "size": size})
    if state is None:
        actions = table["action"] if "action" in table else [""] * len(table)
        pairs = zip(table["status"], actions, strict=True)
        rows["state"] = [_state(status, action).word for status, action in pairs]
    else:
        rows["state"] = state.word
    rows["moved"] = False
    for name in ("reason", "sha256"):
        rows[name] = table[name].fillna("") if name in table else ""
    rows["sha256"] = rows["sha256"].str.removeprefix("-")
    return rows


def _table(columns: Mapping[str, Any]) -> Table:
    return pd.DataFrame(columns)


def _state(status: str, action: str) -> states.State:
    """The state of an entry with this status and action (``model.difference``)."""
    if action == difference.REFUSE:
        return states.REFUSED
    return _STATES.get(status, states.UNDECIDED)


def _summed(rows: Table, by: list[str]) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """Files and bytes of each group of rows."""
    for key, sizes in rows.groupby(by)["size"]:
        yield key if isinstance(key, tuple) else (key,), len(sizes), int(sizes.clip(0).sum())


def _size_class(size: int) -> int:
    """``n`` for a size from 4^n up to 4^(n+1) bytes, -1 for an empty file."""
    return (size.bit_length() - 1) // 2 if size > 0 else -1
