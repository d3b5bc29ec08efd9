"""Results of a transfer as its jobs leave them, made without a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.transfers import transfer_of
from waybill.model.difference import Difference
from waybill.model.entries import LocalEntry
from waybill.model.failure import Failure
from waybill.results import failures, marker, state
from waybill.results.batch_tables import render_diff, render_local, render_remote
from waybill.results.journal import Journal
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.results.state import Place, State
from waybill.system.files import write_atomic

# Sizes in bytes and how many files have them, for the chart of sizes.
SIZES = {10: 600, 3_000: 900, 70_000: 400, 5_000_000: 99}
MTIME_NS = 1_767_323_045_000_000_000


class Made:
    """The results of an upload. ``files`` map a path to a size in bytes."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        results = folder / "results" / settings.get("name", "t")
        self.transfer = transfer_of(folder / "source", results=results, **settings)
        self.layout = Layout(results)
        self.state = State(run="run1", destination=self.transfer.destination)

    def batch(
        self,
        files: Mapping[str, int],
        *,
        dataset: str = "t",
        name: str = "b.a.00000000",
        proven: bool = True,
        moved: int = 0,
        status: str = "",
    ) -> None:
        """Add a batch. The first ``moved`` files were moved by the last run. A batch that is not
        ``proven`` has a diff when a ``status`` is given."""
        layout, of = self.layout, (dataset, name)
        entries = [LocalEntry(path, size, MTIME_NS, 7) for path, size in files.items()]
        write_atomic(layout.local(*of), render_local(entries))
        write_atomic(layout.remote(*of), render_remote([]))
        proofs = [
            Proof(
                path, f"data/{path}", size, MTIME_NS, hashlib.sha256(path.encode()).hexdigest(),
                "e", "", "2026-01-02T03:04:05.000Z", 7,
            )
            for path, size in files.items()
        ]  # fmt: skip
        if status:
            differences = (
                Difference(status, "move", e.path, e.size, e.mtime_ns, 7, "", "", "", "is new")
                for e in entries
            )
            write_atomic(layout.diff(*of), render_diff(differences))
        if moved:
            with Journal(layout.journal(*of), self.state.run) as journal, journal.together():
                for proof in proofs[:moved]:
                    journal.done(proof)
        if proven:
            marker.write(layout.marker(*of), proofs)
        place = self.state.places.setdefault(dataset, Place("/data", "data/"))
        place.files += len(files)
        place.bytes += sum(files.values())
        place.batches += 1

    def aside(self, rows: str, *, dataset: str = "t") -> None:
        """Add a table of entries in no batch; ``rows`` are its lines."""
        table = f"status\tpath\tsize\treason\n{rows}"
        write_atomic(self.layout.aside(dataset), table.encode())

    def fail(self, stage: str, path: str, why: str, *, dataset: str = "t", batch: str = "") -> None:
        """Add a failure."""
        record = failures.record_path(self.layout, stage, dataset, batch)
        failures.write(record, [*failures.read(self.layout, record.name), Failure(path, 1, why)])

    def end(self, *, listed: bool = True) -> None:
        """Write the state, and manifests unless nothing is ``listed``."""
        self.state.add_up()
        state.write(self.layout, self.state)
        for dataset in self.state.places if listed else ():
            write_atomic(self.layout.manifest(dataset), b'{"generated_at": "x", "files": []}')
