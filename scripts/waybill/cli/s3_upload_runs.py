"""How far runs are: what is to be uploaded of each, and what has arrived, told by the files the
workflow writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from waybill import diff, failures, journal, marker, state
from waybill.entries import LocalEntry, RemoteEntry, read_local, read_remote
from waybill.failures import record_path
from waybill.inventory import ASIDE_COLUMNS
from waybill.layout import LOCAL_SUFFIX, Layout
from waybill.state import Place, State
from waybill.tables import rows, unescape

_STAGES = ("checksum", "diff", "upload")
_LAST_STAGES = ("manifest", "publish")


@dataclass(slots=True)
class _Batch:
    """One batch: its entries on both sides, and the ETags of those that have arrived."""

    name: str
    local: dict[str, LocalEntry]
    remote: dict[str, RemoteEntry]
    journals: list[Path]
    arrived: dict[str, str] = field(default_factory=dict)
    partly: int = 0  # bytes of files that are on their way in parts
    moved: tuple[int, int] = (0, 0)  # files and bytes that were sent since the inventory
    seen: tuple[object, ...] = ()


class RunFiles:
    """The files of one run, as one transfer uploads them after one inventory.

    ``folder`` is that of the run. ``uploaded`` maps paths to ETags, ``refused`` are files that
    cannot be uploaded as they are, ``held`` those that wait for something.
    """

    def __init__(self, layout: Layout, dataset: str, place: Place, now: State) -> None:
        self.layout, self.dataset, self.place = layout, dataset, place
        self.folder = Path(place.folder)
        self._run = now.run
        self._batches = list(self._read(now))
        self.refused: set[str] = set()
        self.held: set[str] = set()
        self._read_aside()
        self.local = {path for batch in self._batches for path in batch.local}
        self.bytes = sum(e.size for batch in self._batches for e in batch.local.values())

    def _read(self, now: State) -> Iterator[_Batch]:
        tables = self.layout.inventory / self.dataset
        if self.place.resting:
            tables = self.layout.resting(self.dataset)
        for table in sorted(tables.glob(f"*{LOCAL_SUFFIX}")):
            name = table.name.removesuffix(LOCAL_SUFFIX)
            remote = tables / self.layout.remote(self.dataset, name).name
            others = now.inherits.get(f"{self.dataset}/{name}", ())
            yield _Batch(
                name,
                {entry.path: entry for entry in read_local(table)},
                {entry.path: entry for entry in read_remote(remote)},
                [self.layout.journal(self.dataset, batch) for batch in (*others, name)],
            )

    def _read_aside(self) -> None:
        table = self.layout.aside(self.dataset)
        for _, path, _, reason in rows(table, ASIDE_COLUMNS) if table.exists() else ():
            if reason.startswith("refused: "):
                self.refused.add(unescape(path))
            elif reason.startswith("held back: "):
                self.held.add(unescape(path))

    @property
    def uploaded(self) -> dict[str, str]:
        return {path: etag for batch in self._batches for path, etag in batch.arrived.items()}

    @property
    def count(self) -> int:
        """How many files have arrived."""
        return sum(len(batch.arrived) for batch in self._batches)

    @property
    def arrived_bytes(self) -> int:
        """Bytes that have arrived, those of unfinished files too."""
        done = sum(batch.local[path].size for batch in self._batches for path in batch.arrived)
        return done + sum(batch.partly for batch in self._batches)

    @property
    def moved(self) -> tuple[int, int]:
        """Files and bytes that were sent since the inventory."""
        pairs = [batch.moved for batch in self._batches]
        return sum(files for files, _ in pairs), sum(size for _, size in pairs)

    def update(self) -> bool:
        """Look at what was written since; tells whether there was anything."""
        changed = [self._update(batch) for batch in self._batches]
        return any(changed)

    def _update(self, batch: _Batch) -> bool:
        proof = self.layout.marker(self.dataset, batch.name)
        table = self.layout.diff(self.dataset, batch.name)
        files = (proof, table, *batch.journals)
        seen = tuple(_identity(path) for path in files)
        if seen == batch.seen:
            return False
        batch.seen = seen
        record = journal.read(batch.journals, self._run)
        sent = [proof.size for run, proof in record.done.values() if run == self._run]
        batch.moved = len(sent), sum(sent)
        try:
            batch.arrived = {p.path: p.etag for p in marker.read(proof) if p.path in batch.local}
            batch.partly = 0
        except FileNotFoundError:
            self._ask_journals(batch, table, record)
        return True

    def _ask_journals(self, batch: _Batch, table: Path, record: journal.Record) -> None:
        arrived: dict[str, str] = {}
        if table.exists():
            arrived |= {d.path: d.etag for d in diff.read_table(table) if d.action == diff.KEEP}
        for path, (run, proof) in record.done.items():
            here, there = batch.local.get(path), batch.remote.get(path)
            if here is None or (here.size, here.mtime_ns) != (proof.size, proof.mtime_ns):
                continue
            # Written since the listing, or the listing shows the very object.
            listed = there is not None and (there.size, there.etag) == (proof.size, proof.etag)
            if run == self._run or listed:
                arrived[path] = proof.etag
        batch.arrived = {path: etag for path, etag in arrived.items() if path in batch.local}
        batch.partly = sum(
            min(size, len(parts) * part_size)
            for size, parts, part_size in {
                upload.path: (upload.size, upload.parts, upload.part_size)
                for upload in record.uploads.values()
                if upload.path in batch.local and upload.path not in arrived
            }.values()
        )

    def failed(self) -> set[str]:
        """The files that failed, and those that were not tried because something else did."""
        found = set(self.refused)
        for batch in self._batches:
            for stage in _STAGES:
                record = record_path(self.layout, stage, self.dataset, batch.name)
                for failure in failures.read(self.layout, record.name):
                    found |= {failure.path} if failure.path else batch.local.keys()
        return found.difference(self.uploaded)

    def reason(self) -> str | None:
        """Why the run failed in a job, the first failure of it, or None when none did."""
        records = [
            record_path(self.layout, stage, self.dataset, batch.name)
            for stage in _STAGES
            for batch in self._batches
        ]
        records += [record_path(self.layout, stage, self.dataset) for stage in _LAST_STAGES]
        for record in records:
            for failure in failures.read(self.layout, record.name):
                return str(failure)
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def of_transfer(layout: Layout, before: str) -> list[RunFiles] | None:
    """The runs that are uploaded after the inventory that follows the one named ``before``; None
    as long as there is none."""
    now = state.read(layout)
    if now.run in ("", before):
        return None
    active = {name: place for name, place in now.places.items() if not place.resting}
    return [RunFiles(layout, name, place, now) for name, place in active.items()]
