"""The stages of a transfer, one function per rule; each takes a Task and writes its output.

Nothing here knows Snakemake: a rule script hands in a Task and ends with what is raised.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from waybill import diff, failures, marker, sha256sum, state
from waybill.config import Transfer
from waybill.entries import read_local
from waybill.root import Root
from waybill.tables import ASIDE_COLUMNS, escape, read, render, rows
from waybill.task import Task

log = logging.getLogger(__name__)

PLAN_COLUMNS = (
    "dataset", "status", "action", "path", "size", "mtime_ns", "sha256", "reason",
)  # fmt: skip

PROVEN = "proven by its marker"


def inventory(task: Task) -> None:
    """Both sides, into batch tables; always runs."""
    from waybill import inventory as module
    from waybill.control import Control

    seen = module.run(task.transfer, task.layout, Control(task.transfer))
    log.info(
        "%d files, %d bytes in %d batches, %d not proven; %d held back, %d refused, %d skipped,"
        " %d only at the destination",
        seen.files, seen.bytes, seen.batches, len(seen.open),
        seen.held, seen.refused, seen.skipped, seen.only_at_destination,
    )  # fmt: skip


def checksum(task: Task) -> None:
    """The checksum table of one batch. An entry that cannot be hashed is left out and recorded;
    the upload of the batch fails for it after the others have moved."""
    from waybill import checksum as module

    layout, transfer = task.layout, task.transfer
    hashes, failed = module.checksum(
        Root(transfer.folder, transfer.symlinks),
        read_local(layout.local(task.dataset, task.batch)),
        [layout.cache(task.dataset, name) for name in task.inherited()],
        layout.cache(task.dataset, task.batch),
        threads=transfer.threads,
        write=task.write,
    )
    failures.write(task.failure_record, failed)
    table = sha256sum.render(hashes.items())
    task.write(layout.checksums(task.dataset, task.batch), table)


def plan(task: Task) -> None:
    """Every entry of the transfer with its status, in the order of the paths.

    The diff table of a proven batch tells of the time before it moved; its entries are ``=``.
    """
    layout = task.layout
    seen = state.read(layout)
    open_ = set(seen.open)

    def lines() -> Iterator[str]:
        for dataset in seen.datasets:
            tables = [layout.diff(d, b) for d, b in layout.batches() if d == dataset]
            for table in sorted(tables, key=_first_path):
                proven = f"{dataset}/{table.stem}" not in open_ and not _is_newer(
                    table, layout.marker(dataset, table.stem), task.transfer
                )
                for d in diff.read_table(table):
                    if proven:
                        d = d._replace(status=diff.UNCHANGED, action=diff.KEEP, reason=PROVEN)
                    yield "\t".join(
                        (dataset, d.status, d.action, escape(d.path), str(d.size),
                         str(d.mtime_ns), d.sha256, escape(d.reason))
                    )  # fmt: skip
        for aside in sorted(layout.inventory.glob("*.aside.tsv")):
            dataset = aside.name.removesuffix(".aside.tsv")
            for status, path, size, reason in rows(aside, ASIDE_COLUMNS):
                yield "\t".join((dataset, status, "", path, size, "", "", reason))

    task.write(layout.plan, render(PLAN_COLUMNS, lines()))


def _is_newer(table: Path, proof: Path, transfer: Transfer) -> bool:
    """Whether a diff table asks for a proven batch to be moved again: one made since then, when
    everything is to be sent always."""
    if transfer.overwrite != "always":
        return False
    return not proof.exists() or table.stat().st_mtime_ns > proof.stat().st_mtime_ns


def _first_path(table: Path) -> str:
    return next(diff.read_table(table)).path


def manifest(task: Task) -> None:
    """The manifest of one dataset, from the markers of its batches."""
    from waybill import manifest as module

    layout = task.layout
    batches = [batch for dataset, batch in layout.batches() if dataset == task.dataset]
    proofs = [
        proof for batch in batches for proof in marker.read(layout.marker(task.dataset, batch))
    ]
    data = module.manifest(task.transfer, task.dataset, proofs, datetime.now(UTC))
    task.write(layout.manifest(task.dataset), data, sync=True)
    log.info("%d files proven", len(proofs))


def publish(task: Task) -> None:
    """Put the manifest into the bucket, after the data it lists."""
    from waybill.publish import publish as put

    record, notes = put(task.transfer, task.layout.manifest(task.dataset))
    for note in notes:
        log.warning("%s", note)
    task.write(task.layout.publication(task.dataset), json.dumps(record, indent=1).encode())


def summary(task: Task) -> None:
    """How many entries and bytes have which status, over the whole transfer."""
    counts: dict[tuple[str, str], list[int]] = {}

    def entry(row: list[str]) -> tuple[str, str, int]:
        return row[0], row[1], int(row[4] or 0)

    for dataset, status, size in read(task.layout.plan, PLAN_COLUMNS, entry):
        count = counts.setdefault((dataset, status), [0, 0])
        count[0] += 1
        count[1] += size
    lines = (f"{d}\t{s}\t{n}\t{size}" for (d, s), (n, size) in sorted(counts.items()))
    task.write(task.layout.summary, render(("dataset", "status", "files", "bytes"), lines))


def plan_page(task: Task) -> None:
    """The plan as a page for a browser."""
    from waybill.plan_page import page, read_plan

    text = page(read_plan(task.layout.plan), f"Plan of {task.transfer.name}")
    task.write(task.layout.page, text.encode())
