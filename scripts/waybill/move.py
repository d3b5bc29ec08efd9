"""What upload and download share: every entry of a batch is tried, and what became of it.

What was finished is in the journal at once; the marker is for the caller to write, and only when
nothing failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import botocore.exceptions as be

from waybill import diff
from waybill.diff import Difference
from waybill.engine import BotoEngine, Stored
from waybill.errors import EntryError, StaleHashError
from waybill.failures import Failure
from waybill.journal import Journal, Record
from waybill.marker import Proof
from waybill.parts import MULTIPART_ABOVE_BYTES
from waybill.s3 import common_arguments
from waybill.s3_errors import explain, is_fatal
from waybill.times import utc

if TYPE_CHECKING:
    from waybill.config import Transfer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What became of a batch: proofs by path, failures, and what was moved in this job."""

    proofs: dict[str, Proof] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    stale_hash: bool = False
    moved_files: int = 0
    moved_bytes: int = 0


class Mover:
    """One job that moves a batch. ``run`` names the inventory it follows (``State.run``).

    A direction says what it has finished (``_finished``), how it moves a small entry
    (``_move_small``, in one of several threads) and how the large ones (``_move_large``).
    """

    def __init__(
        self, transfer: Transfer, journal: Journal, record: Record, run: str, accelerate: bool
    ) -> None:
        self._transfer, self._journal = transfer, journal
        self._record, self._run_token = record, run
        self._accelerate = accelerate
        self._common = common_arguments(transfer)
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
                if self._transfer.compare != "sha256":  # nobody looked at the content
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
        """The journal's proof of an entry, when it still holds."""
        raise NotImplementedError

    def _move_small(self, item: Difference) -> Proof:
        raise NotImplementedError

    def _move_large(self, item: Difference, pool: ThreadPoolExecutor) -> Proof:
        """Move one large entry in parts, which are for the ``pool``."""
        raise NotImplementedError

    def _move(self, todo: list[Difference]) -> None:
        small = [item for item in todo if item.size <= MULTIPART_ABOVE_BYTES]
        large = [item for item in todo if item.size > MULTIPART_ABOVE_BYTES]
        pool = ThreadPoolExecutor(self._transfer.max_concurrency)
        try:
            results = pool.map(lambda item: self._try(item, self._move_small), small)
            for item, result in zip(small, results, strict=True):
                self._account(item, result)
            for item in large:
                self._account(item, self._try(item, lambda item: self._move_large(item, pool)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _account(self, item: Difference, result: Proof | EntryError) -> None:
        if isinstance(result, EntryError):
            self.outcome.failed.append(Failure.of(result))
            self.outcome.stale_hash |= isinstance(result, StaleHashError)
            return
        self.outcome.proofs[item.path] = result
        self.outcome.moved_files += 1
        self.outcome.moved_bytes += result.size

    def _try(self, item: Difference, move: Callable[[Difference], Proof]) -> Proof | EntryError:
        """Move one entry. An error of its own is returned; one that would meet every entry is
        raised and ends the job."""
        try:
            proof = move(item)
            self._journal.done(proof)
        except EntryError as error:
            return error
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            return EntryError(item.path, str(explain(error, self._transfer, what=self._url(item))))
        return proof

    def _key(self, item: Difference) -> str:
        return self._transfer.prefix + item.path

    def _url(self, item: Difference) -> str:
        return f"s3://{self._transfer.bucket}/{self._key(item)}"

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
