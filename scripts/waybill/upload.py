"""Upload: moves the entries of one batch and proves each one.

Every entry is tried; what was finished is in the journal at once; the marker is for the caller to
write, and only when nothing failed.
"""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import botocore.exceptions as be

from waybill import diff
from waybill.compare import metadata_sha256
from waybill.diff import Difference
from waybill.engine import SOURCE_MTIME, SOURCE_SHA256, BotoEngine, Stored, stored
from waybill.errors import EntryError, StaleHashError
from waybill.failures import Failure
from waybill.hashing import opened, read_range
from waybill.journal import Journal, Record
from waybill.marker import Proof
from waybill.multipart import Budget, MultipartUploader
from waybill.parts import MULTIPART_ABOVE_BYTES
from waybill.s3 import common_arguments, write_arguments
from waybill.s3_errors import error_code, explain, is_fatal, is_missing
from waybill.times import utc

if TYPE_CHECKING:
    from waybill.config import Transfer

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 128 << 20  # of file contents in one job at one time

_CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_UNSUPPORTED = {"NotImplemented", "501"}


@dataclass(slots=True)
class Outcome:
    """What became of a batch: proofs by path, failures, and what was moved in this job."""

    proofs: dict[str, Proof] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    stale_hash: bool = False
    moved_files: int = 0
    moved_bytes: int = 0


class Uploader:
    """One upload job. ``run`` names the inventory it follows (``State.run``)."""

    def __init__(
        self, transfer: Transfer, journal: Journal, record: Record, run: str, accelerate: bool
    ) -> None:
        self._transfer, self._journal = transfer, journal
        self._record, self._run_token = record, run
        self._accelerate = accelerate
        self._common = common_arguments(transfer)
        self._conditions = True
        self._budget = Budget(IN_MEMORY_BYTES)
        self._engine: BotoEngine | None = None
        self.outcome = Outcome()

    def run(self, items: list[Difference]) -> Outcome:
        """Move what is to be moved. Raises WaybillError for what would fail every entry."""
        todo = []
        for item in items:
            if item.action == diff.REFUSE:
                self.outcome.failed.append(Failure(item.path, 1, item.reason))
            elif item.action == diff.KEEP:
                proof = self._proof(item, Stored(item.etag, ""), utc(int(item.time)))
                if self._transfer.compare != "sha256":  # nobody looked at the object's content
                    proof = proof._replace(sha256="")
                self.outcome.proofs[item.path] = proof
            elif proof := self._finished(item):
                self.outcome.proofs[item.path] = proof
            else:
                todo.append(item)
        if todo:
            self._engine = BotoEngine(self._transfer, accelerate=self._accelerate)
            self._move(todo)
        return self.outcome

    def _finished(self, item: Difference) -> Proof | None:
        """The journal's proof of an entry, when it still holds: it was written after the listing,
        or the listing shows the very object it tells of."""
        run, proof = self._record.done.get(item.path, ("", None))
        if proof is None or (proof.size, proof.sha256) != (item.size, item.sha256):
            return None
        if proof.key != self._key(item):
            return None
        listed = proof.etag == item.etag and self._transfer.overwrite != "always"
        return proof._replace(mtime_ns=item.mtime_ns) if run == self._run_token or listed else None

    def _move(self, todo: list[Difference]) -> None:
        small = [item for item in todo if item.size <= MULTIPART_ABOVE_BYTES]
        large = [item for item in todo if item.size > MULTIPART_ABOVE_BYTES]
        pool = ThreadPoolExecutor(self._transfer.max_concurrency)
        try:
            for item, result in zip(small, pool.map(self._try_small, small), strict=True):
                self._account(item, result)
            uploader = MultipartUploader(
                self._engine,
                self._journal,
                pool,
                self._budget,
                write_arguments(self._transfer),
                self._common,
            )
            for item in large:
                self._account(item, self._try(item, lambda i: self._put_large(i, uploader)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _account(self, item: Difference, result: Proof | EntryError) -> None:
        if isinstance(result, EntryError):
            self.outcome.failed.append(Failure.of(result))
            self.outcome.stale_hash |= isinstance(result, StaleHashError)
            return
        self.outcome.proofs[item.path] = result
        self.outcome.moved_files += 1
        self.outcome.moved_bytes += item.size

    def _try_small(self, item: Difference) -> Proof | EntryError:
        return self._try(item, self._put_small)

    def _try(self, item: Difference, put) -> Proof | EntryError:
        """Put one entry. An error of its own is returned; one that would meet every entry is
        raised and ends the job."""
        try:
            proof = put(item)
            self._journal.done(proof)
        except EntryError as error:
            return error
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            return EntryError(item.path, str(explain(error, self._transfer, what=self._url(item))))
        return proof

    def _put_small(self, item: Difference) -> Proof:
        self._budget.take(item.size)
        try:
            with opened(self._transfer.folder, item.entry) as descriptor:
                body = read_range(descriptor, item.path, 0, item.size)
            if hashlib.sha256(body).hexdigest() != item.sha256:
                raise StaleHashError(item.path)

            def put(condition: dict[str, str]) -> Stored:
                return self._engine.put_object(
                    self._key(item), body, item.sha256, self._metadata(item), condition
                )

            return self._conditionally(item, put)
        finally:
            self._budget.give(item.size)

    def _put_large(self, item: Difference, uploader: MultipartUploader) -> Proof:
        earlier = self._record.open_uploads(item.path)
        with opened(self._transfer.folder, item.entry) as descriptor:

            def put(condition: dict[str, str]) -> Stored:
                return uploader.put(
                    descriptor, item, self._key(item), self._metadata(item), condition, earlier
                )

            return self._conditionally(item, put)

    def _conditionally(self, item: Difference, put) -> Proof:
        """Put under the condition that the object is still what the listing showed, so that two
        users cannot overwrite each other unseen; a store without conditions does without."""
        condition = self._condition(item)
        try:
            return self._proof(item, put(condition))
        except be.ClientError as error:
            code = error_code(error)
            if code in _UNSUPPORTED and condition:
                self._conditions = False
                log.info("%s does not support conditional writes", self._transfer.url)
                return self._proof(item, put({}))
            # A repeated request meets the object that its own lost answer was about.
            if code in _CONFLICT or code == "NoSuchUpload" or is_missing(error):
                return self._already_there(item)
            raise

    def _condition(self, item: Difference) -> dict[str, str]:
        if not self._conditions or self._transfer.overwrite == "always":
            return {}
        if item.status == diff.NEW or self._transfer.overwrite == "never":
            return {"IfNoneMatch": "*"}
        return {"IfMatch": f'"{item.etag}"'}

    def _already_there(self, item: Difference) -> Proof:
        """The proof of an object that holds these bytes already; else EntryError."""
        try:
            head = self._engine.client.head_object(Key=self._key(item), **self._common)
        except be.ClientError as error:
            if not is_missing(error):
                raise
            head = {}
        if metadata_sha256(head) == item.sha256 and head["ContentLength"] == item.size:
            return self._proof(item, stored(head))
        raise EntryError(
            item.path,
            f"{self._url(item)} was written or removed by someone else since the listing;"
            " run again",
        )

    def _key(self, item: Difference) -> str:
        return self._transfer.prefix + item.path

    def _url(self, item: Difference) -> str:
        return f"s3://{self._transfer.bucket}/{self._key(item)}"

    @staticmethod
    def _metadata(item: Difference) -> dict[str, str]:
        seconds, nanoseconds = divmod(item.mtime_ns, 1_000_000_000)
        return {SOURCE_SHA256: item.sha256, SOURCE_MTIME: f"{seconds}.{nanoseconds:09d}"}

    def _proof(self, item: Difference, answer: Stored, when: str | None = None) -> Proof:
        return Proof(
            item.path,
            self._key(item),
            item.size,
            item.mtime_ns,
            item.sha256,
            answer.etag,
            answer.version_id,
            when or utc(),
        )
