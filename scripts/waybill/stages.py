"""The stages of a transfer, one function per rule; each takes a Task and writes its output.

Nothing here knows Snakemake: a rule script hands in a Task and ends with what is raised.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from waybill import diff, failures, journal, marker, sha256sum, state
from waybill.config import Transfer
from waybill.entries import read_local
from waybill.errors import WaybillError
from waybill.inventory import ASIDE_COLUMNS
from waybill.marker import Proof
from waybill.stage_compare import compare
from waybill.tables import escape, render, rows, write_atomic
from waybill.task import Task

if TYPE_CHECKING:
    from waybill.move import Mover

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
        transfer.folder,
        read_local(layout.local(task.dataset, task.batch)),
        [layout.cache(task.dataset, name) for name in task.inherited()],
        layout.cache(task.dataset, task.batch),
        threads=transfer.max_concurrency,
    )
    failures.write(task.failure_record, failed)
    table = sha256sum.render(hashes.items())
    write_atomic(layout.checksums(task.dataset, task.batch), table)


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
                         str(d.mtime_ns), d.sha256, d.reason)
                    )  # fmt: skip
        for aside in sorted(layout.inventory.glob("*.aside.tsv")):
            dataset = aside.name.removesuffix(".aside.tsv")
            for status, path, size, reason in rows(aside, ASIDE_COLUMNS):
                yield "\t".join((dataset, status, "", path, size, "", "", reason))

    write_atomic(layout.plan, render(PLAN_COLUMNS, lines()))


def _is_newer(table: Path, proof: Path, transfer: Transfer) -> bool:
    """Whether a diff table asks for a proven batch to be moved again: one made since then, when
    everything is to be sent always."""
    if transfer.overwrite != "always":
        return False
    return not proof.exists() or table.stat().st_mtime_ns > proof.stat().st_mtime_ns


def _first_path(table: Path) -> str:
    return next(diff.read_table(table)).path


def move(task: Task) -> None:
    """All of one batch in one job. The inventory removes a checksum table that no longer holds;
    a diff is cheap and follows the settings of now."""
    uploads = task.transfer.direction == "upload"
    if uploads and not task.layout.checksums(task.dataset, task.batch).exists():
        checksum(replace(task, stage="checksum"))
    compare(replace(task, stage="diff"))
    (upload if uploads else download)(task)


def upload(task: Task) -> None:
    """Move one batch to S3; the marker is written only when every entry is proven."""
    from waybill.upload import Uploader

    _write_marker(task, _move(task, Uploader))


def download(task: Task) -> None:
    """Move one batch to the destination folder; its checksum table and its marker are written
    only when every entry is proven."""
    from waybill.download import Downloader

    proofs = _move(task, Downloader)
    table = sha256sum.render(
        (proof.path, proof.sha256)
        for proof in proofs
        if proof.sha256 and not proof.path.endswith("/")
    )
    write_atomic(task.layout.checksums(task.dataset, task.batch), table)
    _write_marker(task, proofs)


def _move(task: Task, mover: type[Mover]) -> list[Proof]:
    """The proofs of all entries of a batch. Raises ReportedError when one has none."""
    layout, dataset, batch = task.layout, task.dataset, task.batch
    now = state.read(layout)
    items = list(diff.read_table(layout.diff(dataset, batch)))
    journals = [layout.journal(dataset, name) for name in (*task.inherited(), batch)]
    with journal.Journal(journals[-1], now.run) as open_journal:
        record = journal.read(journals, now.run)
        if f"{dataset}/{batch}" not in now.open and task.transfer.overwrite != "always":
            # A job that Snakemake repeats for a reason of its own: the inventory found the marker
            # right, and the diff may be older than the marker.
            kept = marker.read_if_any(layout.kept_marker(dataset, batch))
            record.done.update((proof.path, (now.run, proof)) for proof in kept)
        outcome = mover(task.transfer, open_journal, record, now.run, now.accelerate).run(items)
    log.info("moved %d files, %d bytes", outcome.moved_files, outcome.moved_bytes)
    if outcome.stale_hash:
        # Same size and mtime, other bytes: nothing but hashing again can tell what they are now.
        for name in (*task.inherited(), batch):
            layout.cache(dataset, name).unlink(missing_ok=True)
        layout.checksums(dataset, batch).unlink(missing_ok=True)
    failures.write(task.failure_record, outcome.failed)
    if outcome.failed:
        for failure in outcome.failed:
            log.error("%s", failure)
        raise ReportedError(f"{len(outcome.failed)} of {len(items)} entries failed")
    return [outcome.proofs[item.path] for item in items]


def _write_marker(task: Task, proofs: list[Proof]) -> None:
    marker.write(task.layout.kept_marker(task.dataset, task.batch), proofs)
    marker.write(task.layout.marker(task.dataset, task.batch), proofs)


class ReportedError(WaybillError):
    """A failed job whose failures are recorded already, entry by entry."""


def manifest(task: Task) -> None:
    """The manifest of one dataset, from the markers of its batches."""
    from waybill import manifest as module

    layout = task.layout
    batches = [batch for dataset, batch in layout.batches() if dataset == task.dataset]
    proofs = [
        proof for batch in batches for proof in marker.read(layout.marker(task.dataset, batch))
    ]
    data = module.manifest(task.transfer, task.dataset, proofs, datetime.now(UTC))
    write_atomic(layout.manifest(task.dataset), data, sync=True)
    log.info("%d files proven", len(proofs))


def publish(task: Task) -> None:
    """Put the manifest into the bucket, after the data it lists."""
    from waybill.publish import publish as put

    record, notes = put(task.transfer, task.layout.manifest(task.dataset))
    for note in notes:
        log.warning("%s", note)
    write_atomic(task.layout.publication(task.dataset), json.dumps(record, indent=1).encode())


def summary(task: Task) -> None:
    """How many entries and bytes have which status, over the whole transfer."""
    counts: dict[tuple[str, str], list[int]] = {}
    for row in rows(task.layout.plan, PLAN_COLUMNS):
        count = counts.setdefault((row[0], row[1]), [0, 0])
        count[0] += 1
        count[1] += int(row[4] or 0)
    lines = (f"{d}\t{s}\t{n}\t{size}" for (d, s), (n, size) in sorted(counts.items()))
    write_atomic(task.layout.summary, render(("dataset", "status", "files", "bytes"), lines))


def plan_page(task: Task) -> None:
    """The plan as a page for a browser."""
    from waybill.plan_page import page, read_plan

    text = page(read_plan(task.layout.plan), f"Plan of {task.transfer.name}")
    write_atomic(task.layout.root / "report" / "plan.html", text.encode())
