"""The stages of a transfer, one function for each rule; each takes a Task and writes its output.

Nothing here knows Snakemake: ``stages.job`` hands in the Task and turns an error into an exit code.
The stages that compare and move a batch are in ``stages.compare`` and ``stages.move``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from waybill.model import difference
from waybill.model.difference import Difference
from waybill.model.errors import ReportedError
from waybill.model.escaping import escape, unescape
from waybill.model.times import has_date
from waybill.model.transfer import Transfer
from waybill.results import failures, marker, published, seals, sha256sum, state
from waybill.results.batch_tables import (
    ASIDE_COLUMNS,
    LOCAL_COLUMNS,
    PLAN_COLUMNS,
    REMOTE_COLUMNS,
    SUMMARY_COLUMNS,
    read_diff,
    read_local,
)
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.stages.compare import foresee
from waybill.stages.task import Task
from waybill.system.files import write_atomic
from waybill.system.root import Root
from waybill.system.tsv import read, render, rows

log = logging.getLogger(__name__)


PROVEN = "proven by its marker"


def inventory(task: Task, start: str = "") -> None:
    """Write what both sides hold into batch tables. Every run does it. ``start`` is the param of
    the job, which differs in every run."""
    from waybill.inventory import take as module
    from waybill.s3.bucket import Bucket

    seen = module.run(task.transfer, task.layout, Bucket(task.transfer), start)
    log.info(
        "%d files, %d bytes in %d batches, %d not proven; %d held back, %d refused, %d skipped,"
        " %d only at the destination",
        seen.files, seen.bytes, seen.batches, len(seen.open),
        seen.held, seen.refused, seen.skipped, seen.only_at_destination,
    )  # fmt: skip


def checksum(task: Task) -> None:
    """Write the checksum table of one batch. An entry that cannot be hashed is left out and
    recorded; the upload of the batch fails for it after the others have moved."""
    from waybill.move import checksum as module

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


def file_checksum(task: Task, table: Path) -> None:
    """Write the line of one file in ``table``, the checksum table of its batch. Raises
    ReportedError when the file could not be hashed, because the job of its batch has recorded
    why."""
    path = task.path
    for name, sha256 in sha256sum.read(table):
        if name == path:
            line = sha256sum.render([(path, sha256)])
            return write_atomic(task.layout.file_checksum(task.dataset, path), line)
    log.error("%s: has no checksum; see what was said about it above", path)
    raise ReportedError(f"{path}: has no checksum")


def plan(task: Task, *, compared: bool = True) -> None:
    """Write every entry of the transfer with its status, in the order of the paths.

    The entries of a proven batch are ``=``: its diff table is older than its move. Those of another
    batch are as its diff table has them. If not all batches are ``compared``, those of a batch
    without a diff table have the status that the tables and earlier proofs tell.
    """
    layout = task.layout
    seen = state.read(layout)

    def lines() -> Iterator[str]:
        for dataset in seen.datasets:
            place = seen.places[dataset]
            view = replace(
                task,
                transfer=task.transfer.for_dataset(place.folder, place.prefix),
                dataset=dataset,
            )
            batches = [replace(view, batch=b) for d, b in state.batches(layout) if d == dataset]
            for batch in sorted(batches, key=_first_path):
                for d in _differences(batch, seen, compared=compared):
                    yield "\t".join(
                        (dataset, d.status, d.action, escape(d.path), str(d.size),
                         str(d.mtime_ns), d.sha256, escape(d.reason))
                    )  # fmt: skip
        for aside in sorted(layout.inventory.glob("*.aside.tsv")):
            dataset = aside.name.removesuffix(".aside.tsv")
            for status, path, size, reason in rows(aside, ASIDE_COLUMNS):
                yield "\t".join((dataset, status, "", path, size, "", "", reason))

    task.write(layout.plan, render(PLAN_COLUMNS, lines()))


def _differences(task: Task, seen: state.State, *, compared: bool) -> Iterator[Difference]:
    """The differences of one batch, for the plan."""
    layout, batch = task.layout, (task.dataset, task.batch)
    name, table = "/".join(batch), layout.diff(*batch)
    proof, kept = layout.marker(*batch), layout.kept_marker(*batch)
    if name not in seen.open and not _is_newer(table, proof, task.transfer):
        for p in marker.read(proof if proof.exists() else kept):
            yield Difference(
                difference.UNCHANGED, difference.KEEP, p.path, p.size, p.mtime_ns, p.inode,
                p.sha256, p.etag, "", PROVEN,
            )  # fmt: skip
    elif compared or _is_up_to_date(table, layout.local(*batch), layout.remote(*batch)):
        yield from read_diff(table)
    else:
        yield from foresee(task, seen.inherits.get(name, ()))


def _is_newer(table: Path, proof: Path, transfer: Transfer) -> bool:
    """Whether a diff table asks to move a proven batch again. With ``overwrite = "always"`` it does
    when it is newer than the marker."""
    if transfer.overwrite != "always":
        return False
    return not proof.exists() or table.stat().st_mtime_ns > proof.stat().st_mtime_ns


def _is_up_to_date(table: Path, *inputs: Path) -> bool:
    """Whether a table is there and not older than the tables that it was made from."""
    try:
        made_ns = table.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return all(path.stat().st_mtime_ns <= made_ns for path in inputs)


def _first_path(batch: Task) -> str:
    layout, name = batch.layout, (batch.dataset, batch.batch)
    table, columns = layout.local(*name), LOCAL_COLUMNS
    if batch.transfer.direction == "download":
        table, columns = layout.remote(*name), REMOTE_COLUMNS
    return unescape(next(rows(table, columns))[0])


def manifest(task: Task) -> None:
    """Write the manifest of one dataset, from the markers of its batches."""
    from waybill.results import manifest as module

    layout = task.layout
    batches = [batch for dataset, batch in state.batches(layout) if dataset == task.dataset]
    proofs = [
        proof for batch in batches for proof in marker.read(layout.marker(task.dataset, batch))
    ]
    data = _published_before(task, proofs)
    if data is None:
        data = module.manifest(task.transfer, task.dataset, proofs, datetime.now(UTC))
    task.write(layout.manifest(task.dataset), data, sync=True)
    log.info("%d files proven", len(proofs))
    if odd := [proof.path for proof in proofs if not has_date(proof.mtime_ns)]:
        text = "%s: its time is beyond the years 1 to 9999, so the manifest has it as a number only"
        log.warning(text + (f" (and {len(odd) - 1} more such files)" if odd[1:] else ""), odd[0])


def _published_before(task: Task, proofs: list[Proof]) -> Iterator[bytes] | None:
    """The bytes of the manifest that was published last, if it lists exactly these entries. The
    same manifest is then not published twice."""
    from waybill.results.manifest import holds_the_same

    kept = task.layout.kept_manifest(task.dataset)
    if not task.transfer.publishes or not kept.exists():
        return None
    if not published.tells_of(task.layout.kept_publication(task.dataset), kept):
        return None  # no record proves the copy; a new manifest is right, too
    with kept.open("rb") as file:
        if not holds_the_same(file, task.transfer, task.dataset, proofs):
            return None
    return published.blocks(kept)


def publish(task: Task) -> None:
    """Put the manifest into the bucket, unless it is there. Its data is in the bucket already."""
    from waybill.move.publish import publish as put

    layout, dataset = task.layout, task.dataset
    path = layout.manifest(dataset)
    record, notes = put(task.transfer, path)
    for note in notes:
        log.warning("%s", note)
    text = json.dumps(record, indent=1).encode()
    published.keep(layout, dataset, text)
    task.write(layout.publication(dataset), text)


def summary(task: Task) -> None:
    """Write how many entries and bytes of the transfer have which status. Raises ReportedError
    while any failure stands, also for an entry in no batch. Another workflow may wait for this
    table, and it must mean that the whole transfer is done."""
    if standing := list(failures.read(task.layout)):
        for failure in standing:
            log.info("FAILED %s", failure)
        raise ReportedError(f"{len(standing)} failures stand")
    summarise(task.layout)


def summarise(layout: Layout) -> None:
    """Write how many entries and bytes of the plan have which status."""
    counts: dict[tuple[str, str], list[int]] = {}

    def entry(row: list[str]) -> tuple[str, str, int]:
        return row[0], row[1], int(row[4] or 0)

    for dataset, status, size in read(layout.plan, PLAN_COLUMNS, entry):
        count = counts.setdefault((dataset, status), [0, 0])
        count[0] += 1
        count[1] += size
    lines = (f"{d}\t{s}\t{n}\t{size}" for (d, s), (n, size) in sorted(counts.items()))
    seals.write(layout, layout.summary, render(SUMMARY_COLUMNS, lines))


def report_page(task: Task) -> None:
    """Write the page about the transfer. Raises WaybillError where a package for it is missing."""
    from waybill.report.write import write

    write(task.transfer)
