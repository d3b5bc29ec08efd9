"""The stages ``upload`` and ``download``: move one batch and prove it. With ``one_job_per_batch``
the same job does checksum and diff, too."""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from waybill.inventory.batches import is_last
from waybill.model.difference import Difference
from waybill.model.entries import Checksums, LocalEntry
from waybill.model.errors import ReportedError, WaybillError
from waybill.model.failure import Failure
from waybill.move import checksum
from waybill.results import failures, journal, marker, sha256sum, state
from waybill.results.batch_tables import read_diff, read_local, read_remote, render_diff
from waybill.results.marker import Proof
from waybill.stages.compare import compare, compare_files
from waybill.stages.task import Task
from waybill.system.files import write_atomic
from waybill.system.root import Root

if TYPE_CHECKING:
    from waybill.move.mover import Mover

log = logging.getLogger(__name__)


def run(task: Task, *, prove: bool = True) -> None:
    """Move one batch in the direction of its transfer, after checksum and diff where one job does
    all of it."""
    if task.transfer.one_job_per_batch:
        move(task, prove=prove)
    else:
        (upload if task.transfer.direction == "upload" else download)(task, prove=prove)


def attempt(task: Task) -> None:
    """Try each entry of a batch that moves first. Other batches do not wait for entries that fail:
    the job that proves this batch tries them again, and fails for them. No marker is written."""
    try:
        run(task.of_stage(task.transfer.direction), prove=False)
    except WaybillError as error:
        log.info("to be tried again: %s", error)
    write_atomic(task.layout.tried(task.dataset, task.batch), b"")


def upload(task: Task, *, prove: bool = True) -> None:
    """Move one batch to S3; the marker is written only when every entry is proven."""
    from waybill.move.upload import Uploader

    with _turn(task) as turn:
        proofs = _move(task, turn, Uploader, _planned(task), prove=prove)
        _write_marker(task, proofs, prove=prove)


def download(task: Task, *, prove: bool = True) -> None:
    """Move one batch to the destination folder; its checksum table and its marker are written
    only when every entry is proven."""
    from waybill.move.download import Downloader

    with _turn(task) as turn:
        proofs = _move(task, turn, Downloader, _planned(task), prove=prove)
        table = sha256sum.render(
            (proof.path, proof.sha256)
            for proof in proofs
            if proof.sha256 and not proof.path.endswith("/")
        )
        if prove:
            task.write(task.layout.checksums(task.dataset, task.batch), table)
        _write_marker(task, proofs, prove=prove)


def move(task: Task, *, prove: bool = True) -> None:
    """Do all stages of one batch in one job. A checksum table that is there is used, because the
    inventory removes those that are out of date. The diff is always made again, because it is cheap
    and depends on the settings."""
    hashed = task.layout.checksums(task.dataset, task.batch).exists()
    if task.transfer.direction == "upload" and not hashed:
        with _turn(task) as turn:
            return _hash_and_upload(task, turn, prove=prove)
    compare(task.of_stage("diff"))
    (upload if task.transfer.direction == "upload" else download)(task, prove=prove)


def _hash_and_upload(task: Task, turn: Turn, *, prove: bool) -> None:
    """Move a batch whose files are not hashed yet. A small file that is certain to be sent is read
    once: it is hashed and sent from the same bytes."""
    from waybill.move.upload import Uploader

    layout, dataset, batch = task.layout, task.dataset, task.batch
    started = time.time_ns()
    entries = read_local(layout.local(dataset, batch))
    hashes = _hash_what_must_be(task, entries, turn.record.done)
    failed: list[Failure] = []
    items = list(compare_files(task, entries, hashes, failed))
    failures.write(task.of_stage("diff").failure_record, failed)
    try:
        proofs = _move(task, turn, Uploader, items, prove=prove)
    except ReportedError:
        task.write(layout.diff(dataset, batch), render_diff(iter(items)))
        raise
    hashes = {
        item.path: item.sha256 or proof.sha256 for item, proof in zip(items, proofs, strict=True)
    }
    known = {item.entry: Checksums(hashes[item.path]) for item in items}
    cache = checksum.remember(known, started)
    task.write(layout.cache(dataset, batch), cache)
    task.write(layout.checksums(dataset, batch), sha256sum.render(hashes.items()))
    told = (item._replace(sha256=hashes[item.path]) for item in items)
    task.write(layout.diff(dataset, batch), render_diff(told))
    _write_marker(task, proofs, prove=prove)


def _hash_what_must_be(
    task: Task, entries: list[LocalEntry], begun: Container[str]
) -> Mapping[str, str]:
    """The SHA-256 (hex) by path of the files that must be hashed before they can be compared, and
    of those in a cache; ``""`` for the others.

    A file must be hashed when an earlier job has ``begun`` it, or when its object has the same
    size. A file that cannot be hashed is left out, and a failure is recorded.
    """
    layout, dataset = task.layout, task.dataset
    remote = {e.path: e for e in read_remote(layout.remote(dataset, task.batch))}

    def undecided(entry: LocalEntry) -> bool:
        there = remote.get(entry.path)
        same_size = there is not None and there.size == entry.size
        return same_size or entry.path in begun

    hashes, failed = checksum.checksum(
        Root(task.transfer.folder, task.transfer.symlinks),
        entries,
        [layout.cache(dataset, name) for name in task.inherited()],
        layout.cache(dataset, task.batch),
        threads=task.transfer.threads,
        wanted=undecided,
        write=task.write,
    )
    failures.write(task.of_stage("checksum").failure_record, failed)
    unread = {failure.path for failure in failed}
    return {e.path: hashes.get(e.path, "") for e in entries if e.path not in unread}


def _planned(task: Task) -> list[Difference]:
    """The entries of a batch, as its diff table has them."""
    return list(read_diff(task.layout.diff(task.dataset, task.batch)))


class Turn(NamedTuple):
    """What a job works with while no other copy of it is at work: the state, the open journal, and
    the records of earlier jobs."""

    now: state.State
    journal: journal.Journal
    record: journal.Record


@contextmanager
def _turn(task: Task) -> Iterator[Turn]:
    """Wait until no other copy of this job is at work, then read the journals. So entries that an
    earlier copy has finished are known before anything is hashed or sent."""
    layout, dataset, batch = task.layout, task.dataset, task.batch
    now = state.read(layout)
    journals = [layout.journal(dataset, name) for name in (*task.inherited(), batch)]
    with journal.Journal(journals[-1], now.run) as open_journal:
        record = journal.read(journals, now.run)
        record.tell()
        for name in task.inherited():
            for proof in marker.read_if_any(layout.kept_marker(dataset, name)):
                record.done.setdefault(proof.path, ("", proof))
        if f"{dataset}/{batch}" not in now.open and task.transfer.overwrite != "always":
            # Snakemake repeats this job for a reason of its own. The inventory has accepted the
            # marker, and the diff may be older than the marker.
            kept = marker.read_if_any(layout.kept_marker(dataset, batch))
            record.done.update((proof.path, (now.run, proof)) for proof in kept)
        yield Turn(now, open_journal, record)


class _Replaced:
    """Tells whether the proof at a path is of another object than the listed one."""

    def __init__(self, task: Task) -> None:
        self._table = task.layout.remote(task.dataset, task.batch)

    def __call__(self, path: str) -> bool:
        return path in self._paths

    @cached_property
    def _paths(self) -> set[str]:
        return {entry.path for entry in read_remote(self._table) if entry.replaced}


class _Noted:
    """Gives the checksums that the caches of a batch have of a file."""

    def __init__(self, task: Task) -> None:
        names = (*task.inherited(), task.batch)
        self._caches = [task.layout.cache(task.dataset, name) for name in names]

    def __call__(self, entry: LocalEntry) -> Checksums | None:
        return self._known.get(entry)

    @cached_property
    def _known(self) -> dict[LocalEntry, Checksums]:
        return checksum.read_caches(self._caches)


def _move(
    task: Task, turn: Turn, mover: type[Mover], items: list[Difference], *, prove: bool
) -> list[Proof]:
    """Move the entries of a batch, and return their proofs. Raises ReportedError when an entry
    failed. The failures are logged as errors only with ``prove``."""
    layout, dataset, batch = task.layout, task.dataset, task.batch
    now = turn.now
    what = (now.accelerate, _Replaced(task), _Noted(task))
    job = mover(task.transfer, turn.journal, turn.record, now.run, *what)
    outcome = job.run(items)
    log.info("moved %d files, %d bytes", outcome.moved_files, outcome.moved_bytes)
    if outcome.stale_hash:
        # Same size and mtime, other bytes: the files must be hashed again.
        for name in (*task.inherited(), batch):
            layout.cache(dataset, name).unlink(missing_ok=True)
        layout.checksums(dataset, batch).unlink(missing_ok=True)
    failures.write(task.failure_record, outcome.failed)
    if outcome.failed:
        for failure in outcome.failed:
            log.log(logging.ERROR if prove else logging.INFO, "%s", failure)
        if prove and (waiting := _waiting(task)):
            log.warning("%d files of `last` wait until all others are proven", waiting)
        raise ReportedError(f"{len(outcome.failed)} of {len(items)} entries failed")
    return [outcome.proofs[item.path] for item in items]


def _waiting(task: Task) -> int:
    """How many entries of the dataset wait for this batch, because they move last."""
    if not task.transfer.last or is_last(task.batch):
        return 0
    layout, dataset = task.layout, task.dataset
    names = [name for name in layout.batches_of(dataset) if is_last(name)]
    if task.transfer.direction == "upload":
        return sum(1 for name in names for _ in read_local(layout.local(dataset, name)))
    return sum(1 for name in names for _ in read_remote(layout.remote(dataset, name)))


def _write_marker(task: Task, proofs: list[Proof], *, prove: bool) -> None:
    """Write the marker and its copy; without ``prove`` only the copy, which the next job uses."""
    layout, data = task.layout, marker.render(proofs)
    for path in (layout.kept_marker, *([layout.marker] if prove else [])):
        task.write(path(task.dataset, task.batch), data, sync=True)
