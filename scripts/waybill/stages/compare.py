"""The stage ``diff``: compares one batch with the destination. It asks S3 only about entries for
which the tables do not decide. A plan (``foresee``) goes as far as the tables do."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping

from waybill.model.difference import Difference
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.model.failure import Failure
from waybill.move import checksum, diff
from waybill.results import failures, journal, marker, sha256sum
from waybill.results.batch_tables import read_local, read_remote, render_diff
from waybill.results.marker import Proof
from waybill.s3.same_bytes import Verdict
from waybill.stages.task import Task
from waybill.system.root import Root

log = logging.getLogger(__name__)


def compare(task: Task) -> None:
    """Write the diff table of one batch. An entry that cannot be compared is recorded and refused;
    the others go on."""
    failed: list[Failure] = []
    uploads = task.transfer.direction == "upload"
    differences = (_upload if uploads else _download)(task, failed)
    task.write(task.layout.diff(task.dataset, task.batch), render_diff(differences))
    failures.write(task.failure_record, failed)


def foresee(task: Task, inherited: Collection[str]) -> Iterator[Difference]:
    """The differences of one batch, as far as the inventory and earlier results decide. No file is
    read and S3 is not asked: what the run would do that for has the status ``?``. ``inherited`` are
    the batches that held entries of this batch before."""
    layout, transfer = task.layout, task.transfer
    local = read_local(layout.local(task.dataset, task.batch))
    remote = read_remote(layout.remote(task.dataset, task.batch))
    settings = {"compare": transfer.compare, "overwrite": transfer.overwrite}
    names = (task.batch, *inherited)
    cached = checksum.read_caches(layout.cache(task.dataset, name) for name in names)
    if transfer.direction == "download":
        files = {e.path: e for e in local}
        hashes = {e.path: cached[e].sha256 for e in local if e in cached}
        ours = _ours(task, inherited, remote, files)
        return diff.diff_download(
            remote, files, ours=ours, hashes=hashes, same_bytes=None, made_ns=None, **settings
        )
    proven = {proof.path: proof for proof in _proofs(task, inherited) if proof.sha256}

    def sha256(entry: LocalEntry) -> str:
        if known := cached.get(entry):
            return known.sha256
        proof = proven.get(entry.path)
        return proof.sha256 if proof and proof.is_of(*entry[1:]) else ""

    hashes = {entry.path: sha256(entry) for entry in local}
    objects = {e.path: e for e in remote}
    return diff.diff(local, hashes, objects, same_bytes=None, **settings)


def _upload(task: Task, failed: list[Failure]) -> Iterator[Difference]:
    hashes = dict(sha256sum.read(task.layout.checksums(task.dataset, task.batch)))
    entries = read_local(task.layout.local(task.dataset, task.batch))
    return compare_files(task, entries, hashes, failed)


def compare_files(
    task: Task, entries: list[LocalEntry], hashes: Mapping[str, str], failed: list[Failure]
) -> Iterator[Difference]:
    """The differences between files to upload and the objects in the listing.

    ``hashes`` maps a path to the SHA-256 (hex) of the file. The hash is ``""`` for a file that is
    hashed when it is sent; a file that could not be hashed has none. A failure is added to
    ``failed`` for each file that cannot be compared.
    """
    layout, transfer = task.layout, task.transfer
    remote = {e.path: e for e in read_remote(layout.remote(task.dataset, task.batch))}
    answers: dict[str, Verdict | EntryError] = {}
    if transfer.compare == "sha256" and (open_ := diff.undecided(entries, hashes, remote)):
        answers = _ask(task, open_, hashes, remote, failed)
    return diff.diff(
        entries,
        hashes,
        remote,
        compare=transfer.compare,
        overwrite=transfer.overwrite,
        same_bytes=lambda entry: answers[entry.path],
    )


def _download(task: Task, failed: list[Failure]) -> Iterator[Difference]:
    layout, transfer = task.layout, task.transfer
    local = {e.path: e for e in read_local(layout.local(task.dataset, task.batch))}
    entries = read_remote(layout.remote(task.dataset, task.batch))
    ours = _ours(task, task.inherited(), entries, local)
    open_ = [
        (entry, there)
        for entry in entries
        if (there := local.get(entry.path))
        and there.size == entry.size
        and entry.path not in ours
        and not entry.path.endswith("/")
    ]
    hashes: dict[str, str] = {}
    answers: dict[str, Verdict | EntryError] = {}
    made: dict[str, int | EntryError] = {}
    if transfer.compare == "sha256" and open_:
        hashes, unread = checksum.checksum(
            Root(transfer.folder, transfer.symlinks),
            [there for _, there in open_],
            [layout.cache(task.dataset, name) for name in task.inherited()],
            layout.cache(task.dataset, task.batch),
            threads=transfer.threads,
            write=task.write,
        )
        failed += unread
        asked = [e for entry, e in open_ if e.path in hashes and not entry.sha256]
        answers = _ask(task, asked, hashes, {e.path: e for e, _ in open_}, failed)
    elif transfer.compare == "mtime":
        from waybill.move.compare import Comparer

        older = [entry for entry, there in open_ if there.mtime_ns < entry.mtime_ns]
        made = Comparer(transfer).made_ns(older) if older else {}
        failed += [Failure.of(m) for m in made.values() if isinstance(m, EntryError)]

    def made_ns(entry: RemoteEntry) -> int:
        answer = made[entry.path]
        if isinstance(answer, EntryError):
            raise answer
        return answer

    return diff.diff_download(
        entries,
        local,
        compare=transfer.compare,
        overwrite=transfer.overwrite,
        ours=ours,
        hashes=hashes,
        same_bytes=lambda entry: answers[entry.path],
        made_ns=made_ns,
    )


def _ours(
    task: Task,
    inherited: Collection[str],
    entries: list[RemoteEntry],
    local: dict[str, LocalEntry],
) -> dict[str, str]:
    """The SHA-256 (hex) by path of the files that earlier jobs downloaded from the listed objects
    and that have not changed since."""
    etags = {entry.path: entry.etag for entry in entries}
    return {
        proof.path: proof.sha256
        for proof in _proofs(task, inherited)
        if proof.sha256
        and proof.key == task.transfer.prefix + proof.path
        and proof.etag == etags.get(proof.path)
        and (there := local.get(proof.path))
        and proof.is_of(*there[1:])
    }


def _proofs(task: Task, inherited: Collection[str]) -> Iterator[Proof]:
    """The proofs in the markers and journals of earlier jobs, the latest last."""
    layout, dataset = task.layout, task.dataset
    names = (*inherited, task.batch)
    for name in names:
        yield from marker.read_if_any(layout.kept_marker(dataset, name))
    record = journal.read(layout.journal(dataset, name) for name in names)
    yield from (proof for _, proof in record.done.values())


def _ask(
    task: Task,
    entries: list[LocalEntry],
    hashes: Mapping[str, str],
    listed: Mapping[str, RemoteEntry],
    failed: list[Failure],
) -> dict[str, Verdict | EntryError]:
    """Whether each object holds the bytes of its file, by path; one question to S3 for each. Adds
    the errors of single entries to ``failed``."""
    from waybill.move.compare import Comparer

    if not entries:
        return {}
    log.info("asking S3 about %d objects", len(entries))
    answers = Comparer(task.transfer).same(entries, hashes, listed)
    failed += [Failure.of(a) for a in answers.values() if isinstance(a, EntryError)]
    return answers
