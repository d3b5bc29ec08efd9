"""Counts the files of each dataset that are to be uploaded, and those that have arrived.

The numbers come from the files that the workflow writes. No plan is needed, and files that had
arrived before count too. (``cli.progress.arrived`` counts only the entries of a plan.) A transfer
may have hundreds of datasets with thousands of files, so only numbers are kept; names are read
again when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from waybill.model import difference
from waybill.model.escaping import unescape
from waybill.results import journal, marker, outcome, state
from waybill.results.batch_tables import ASIDE_COLUMNS, read_diff, read_local, read_remote
from waybill.results.layout import LOCAL_SUFFIX, Layout
from waybill.results.outcome import Failed
from waybill.results.state import Place, State
from waybill.system.files import identity
from waybill.system.tsv import rows

_STAGES = ("checksum", "diff", "upload")
_LAST_STAGES = ("manifest", "publish")


@dataclass(slots=True)
class _Batch:
    """One batch: its name, its journals (its own is the last), and what has arrived: files, their
    bytes, and ``partly``, the bytes of unfinished files."""

    name: str
    journals: list[Path]
    looked: bool = False
    proven: bool = False
    files: int = 0
    bytes: int = 0
    partly: int = 0
    moved: tuple[int, int] = (0, 0)  # files and bytes that were sent since the inventory
    seen: tuple[int, int, int] | None = None  # the identity of its own journal


class Arrivals:
    """The files of one dataset, as one transfer uploads them after one inventory.

    ``folder`` is the folder of the dataset. ``total`` is the number of files that the bucket has in
    the end, ``bytes`` their size. ``refused`` are the paths of files that cannot be uploaded,
    ``held`` the paths of files that wait for something.
    """

    def __init__(self, layout: Layout, dataset: str, place: Place, now: State) -> None:
        self.layout, self.dataset, self.place = layout, dataset, place
        self.folder = Path(place.folder)
        self.total, self.bytes = place.files, place.bytes
        self.refused, self.held = self._read_aside()
        self._run = now.run
        self._all_again = now.settings.endswith(" always")  # files that are there already, too
        self._tables = layout.tables(dataset)
        self._batches = []
        for table in sorted(self._tables.glob(f"*{LOCAL_SUFFIX}")):
            name = table.name.removesuffix(LOCAL_SUFFIX)
            names = [*now.inherits.get(f"{dataset}/{name}", ()), name]
            journals = [layout.journal(dataset, other) for other in names]
            self._batches.append(_Batch(name, journals))

    def _read_aside(self) -> tuple[set[str], set[str]]:
        refused, held = set(), set()
        table = self.layout.aside(self.dataset)
        for _, path, _, reason in rows(table, ASIDE_COLUMNS) if table.exists() else ():
            if reason.startswith("refused: "):
                refused.add(unescape(path))
            elif reason.startswith("held back: "):
                held.add(unescape(path))
        return refused, held

    @property
    def count(self) -> int:
        """How many files have arrived."""
        return sum(batch.files for batch in self._batches)

    @property
    def arrived_bytes(self) -> int:
        """Bytes that have arrived, also of unfinished files."""
        return sum(batch.bytes + batch.partly for batch in self._batches)

    @property
    def moved(self) -> tuple[int, int]:
        """Files and bytes that were sent since the inventory."""
        pairs = [batch.moved for batch in self._batches]
        return sum(files for files, _ in pairs), sum(size for _, size in pairs)

    def update(self) -> None:
        """Read what jobs have written since the last call."""
        for batch in self._batches:
            if not batch.proven:
                self._update(batch)

    def _update(self, batch: _Batch) -> None:
        batch.proven = self.layout.marker(self.dataset, batch.name).exists()
        seen = identity(batch.journals[-1])
        is_new = seen != batch.seen or (not batch.looked and len(batch.journals) > 1)
        batch.looked, batch.seen = True, seen
        if not (is_new or batch.proven):
            return
        record = journal.read(batch.journals, self._run)
        moved = record.moved(self._run)
        batch.moved = len(moved), sum(moved.values())
        arrived = self._arrived(batch, record)
        batch.files, batch.bytes = len(arrived), sum(size for size, _ in arrived.values())
        partly = record.in_parts()
        batch.partly = sum(size for path, size in partly.items() if path not in arrived)

    def _arrived(
        self, batch: _Batch, record: journal.Record | None = None
    ) -> dict[str, tuple[int, str]]:
        """Size and ETag of what has arrived of a batch, by path."""
        try:
            proofs = marker.read(self.layout.marker(self.dataset, batch.name))
            return {proof.path: (proof.size, proof.etag) for proof in proofs}
        except FileNotFoundError:
            pass
        if record is None:
            record = journal.read(batch.journals, self._run)
        local = {entry.path: entry for entry in read_local(self._local(batch))}
        there = {e.path: (e.size, e.etag) for e in read_remote(self._remote(batch))}
        found = {}
        table = self.layout.diff(self.dataset, batch.name)
        for item in read_diff(table) if table.exists() else ():
            if item.action == difference.KEEP:
                found[item.path] = item.size, item.etag
        for path, (run, proof) in record.done.items():
            here = local.get(path)
            if here is None or (here.size, here.mtime_ns) != (proof.size, proof.mtime_ns):
                continue
            # Written since the listing, or the listing shows the same object.
            listed = there.get(path) == (proof.size, proof.etag) and not self._all_again
            if run == self._run or listed:
                found[path] = proof.size, proof.etag
        return found

    def _local(self, batch: _Batch) -> Path:
        return self._tables / self.layout.local(self.dataset, batch.name).name

    def _remote(self, batch: _Batch) -> Path:
        return self._tables / self.layout.remote(self.dataset, batch.name).name

    def paths(self) -> set[str]:
        """The paths of all files: those to be uploaded, refused or held back."""
        known = {e.path for batch in self._batches for e in read_local(self._local(batch))}
        return known | self.refused | self.held

    def uploaded(self) -> dict[str, str]:
        """The ETags of the files that have arrived, by path."""
        return {
            path: etag
            for batch in self._batches
            if batch.files
            for path, (_, etag) in self._arrived(batch).items()
        }

    def failed(self) -> set[str]:
        """The files that failed, and those that were not tried because their batch failed."""
        found = set(self.refused)
        batches = {batch.name: batch for batch in self._batches}
        for failure in self._failures(_STAGES):
            if failure.path:
                found.add(failure.path)
            elif failure.batch in batches:
                batch = batches[failure.batch]
                found.update(entry.path for entry in read_local(self._local(batch)))
        return found.difference(self.uploaded()) if found else found

    def reason(self) -> str | None:
        """The first failure of the dataset in a job; None when there is none."""
        found = next(self._failures((*_STAGES, *_LAST_STAGES)), None)
        return None if found is None else str(found)

    def _failures(self, stages: tuple[str, ...]) -> Iterator[Failed]:
        """The failures of the dataset in these stages, in the order of its batches."""
        names = ["", *(batch.name for batch in self._batches)]
        found = [
            failure
            for failure in outcome.standing_failures(self.layout)
            if failure.dataset == self.dataset
            and failure.stage in stages
            and failure.batch in names
        ]
        yield from sorted(found, key=lambda f: (not f.batch, f.batch, stages.index(f.stage)))


def of_transfer(layout: Layout, before: str) -> list[Arrivals] | None:
    """The datasets that are uploaded after the inventory of this run; None before it is taken.
    ``before`` identifies the inventory of the last run."""
    now = state.read(layout)
    if now.run in ("", before):
        return None
    active = {name: place for name, place in now.places.items() if not place.resting}
    return [Arrivals(layout, name, place, now) for name, place in active.items()]
