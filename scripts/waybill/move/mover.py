"""The mover: the part that upload and download share. It tries every entry of a batch.

It notes each finished entry in the journal at once. The caller writes the marker when no entry has
failed.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn

import botocore.exceptions as be

from waybill.model import difference
from waybill.model.difference import Difference
from waybill.model.entries import Checksums, LocalEntry
from waybill.model.errors import EntryError, StaleHashError
from waybill.model.failure import Failure
from waybill.model.times import utc
from waybill.results.journal import Journal, Record
from waybill.results.marker import Proof
from waybill.s3.client import common_arguments
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain, is_fatal
from waybill.s3.evidence import Stored
from waybill.s3.parts import MULTIPART_ABOVE_BYTES
from waybill.system.budget import Budget
from waybill.system.futures import error_of
from waybill.system.meter import METER
from waybill.system.root import Root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

log = logging.getLogger(__name__)

GROUP = 8  # small entries that are noted in one write
LANDING_SECONDS = 0.004  # waits for more entries to land: waking a thread for each one is slow
LARGE = 2  # large entries at one time: one is hashed, or completed by S3, while another moves
IN_MEMORY_BYTES = 128 << 20  # file contents in one job at one time


@dataclass(slots=True)
class Outcome:
    """The result of a job that moves a batch: the proofs by path, the failures, and what the job
    moved. ``stale_hash`` means that a file had other bytes than its checksum table says."""

    proofs: dict[str, Proof] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    stale_hash: bool = False
    moved_files: int = 0
    moved_bytes: int = 0


class Mover(ABC):
    """One job that moves a batch. ``run`` identifies the inventory before it (``State.run``).
    ``replaced`` tells whether the proof at a path is of another object than the listed one.
    ``noted`` gives the checksums that were kept when a file was hashed.

    Each direction implements ``_finished`` (whether an entry is done already), ``_launch`` (a small
    entry: one request, many at one time) and ``_move_large`` (a large entry, in parts). All short
    work is done in the thread of ``run``: to switch threads for each file costs more than the work.
    """

    def __init__(
        self,
        transfer: Transfer,
        journal: Journal,
        record: Record,
        run: str,
        accelerate: bool,
        replaced: Callable[[str], bool] = lambda _: False,
        noted: Callable[[LocalEntry], Checksums | None] = lambda _: None,
    ) -> None:
        self._transfer, self._journal = transfer, journal
        self._root = Root(transfer.folder, transfer.symlinks)
        self._record, self._run_token = record, run
        self._accelerate, self._replaced, self._noted = accelerate, replaced, noted
        self._common = common_arguments(transfer)
        self._budget = Budget(IN_MEMORY_BYTES)
        self._landed: SimpleQueue[tuple[Difference, Callable[[], Proof | None]]] = SimpleQueue()
        self._under_way = 0
        self._slow: deque[Difference] = deque()  # entries that the pool has not launched yet
        self.outcome = Outcome()

    def run(self, items: list[Difference]) -> Outcome:
        """Move the entries of a diff. Raises WaybillError for an error that all entries would
        meet."""
        todo = []
        for item in items:
            if item.action == difference.REFUSE:
                self.outcome.failed.append(Failure(item.path, 1, item.reason))
            elif item.action == difference.KEEP:
                self.outcome.proofs[item.path] = self._kept(item)
            elif proof := self._finished(item):
                self.outcome.proofs[item.path] = proof
            else:
                todo.append(item)
        if todo:
            METER.expect(item.size for item in todo)
            self._move(todo)
        return self.outcome

    def _kept(self, item: Difference) -> Proof:
        """The proof of an entry that is the same on both sides: that of an earlier job, when it
        still holds, because it tells more."""
        if self._transfer.compare == "sha256" and (proof := self._finished(item)):
            return proof
        proof = self._proof(item, Stored(item.etag, ""), utc(int(item.time)))
        if self._transfer.compare != "sha256":  # the content was not compared
            proof = proof._replace(sha256="")
        return proof

    @abstractmethod
    def _finished(self, item: Difference) -> Proof | None:
        """The journal's proof of an entry, when it still holds."""

    @abstractmethod
    def _launch(self, item: Difference) -> None:
        """Begin to move a small entry. Its bytes have been taken from the budget. The entry is
        handed to ``_land``, at once or later."""

    @abstractmethod
    def _move_large(self, item: Difference) -> Proof:
        """Move one large entry in parts. The parts run in the pool."""

    def _is_quick(self, item: Difference) -> bool:
        """Whether it costs less to launch an entry in the thread of ``run`` than in the pool."""
        return True

    def _is_full(self) -> bool:
        """Whether no more may be launched before something has landed."""
        return False

    def _before_waiting(self) -> float | None:
        """Called when the thread of ``run`` is going to wait for an entry to land. Returns the
        seconds after which to call it again; None to wait for as long as it takes."""
        return None

    def _move(self, todo: list[Difference]) -> None:
        self._engine = make_engine(self._transfer, accelerate=self._accelerate)
        self._pool = ThreadPoolExecutor(self._transfer.threads)
        side_by_side = ThreadPoolExecutor(LARGE)
        try:
            for item in todo:
                if item.size <= MULTIPART_ABOVE_BYTES:
                    self._begin(item)
            while self._under_way:
                self._next_group()
            large = [item for item in todo if item.size > MULTIPART_ABOVE_BYTES]
            moved = {side_by_side.submit(self._begin_large, item): item for item in large}
            for end in as_completed(moved):
                self._account(moved[end], end.result)
        finally:
            side_by_side.shutdown(wait=False, cancel_futures=True)
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._engine.close()

    def _begin(self, item: Difference) -> None:
        while self._under_way and self._is_busy():
            self._next_group()
        while not self._budget.try_take(item.size):
            self._next_group()
        self._under_way += 1
        METER.begin(self._key(item), item.path, item.size)
        if self._is_quick(item):
            self._launch_or_fail(item)
        else:
            self._slow.append(item)
            self._pool.submit(self._launch_slow, item)
        if self._landed.qsize() >= GROUP:
            self._next_group()

    def _begin_large(self, item: Difference) -> Proof:
        METER.begin(self._key(item), item.path, item.size, large=True)
        return self._move_large(item)

    def _is_busy(self) -> bool:
        """Whether something must land before another small entry is launched."""
        slow = len(self._slow) >= 2 * self._transfer.threads
        return slow or self._engine.is_busy or self._is_full()

    def _launch_slow(self, item: Difference) -> None:
        try:
            self._launch_or_fail(item)
        finally:
            self._slow.pop()

    def _launch_or_fail(self, item: Difference) -> None:
        if error := error_of(partial(self._launch, item)):
            self._budget.give(item.size)
            self._land(item, partial(fail, error))

    def _land(self, item: Difference, conclude: Callable[[], Proof | None]) -> None:
        """Have ``conclude`` called in the thread of ``run``. It returns the proof of the entry,
        raises its error, or returns None when the entry is going to land once more."""
        self._landed.put((item, conclude))

    def _next_group(self) -> None:
        """Conclude the entries that have landed. Waits until there is at least one."""
        landed = [self._next()]
        if self._engine.ahead >= GROUP:  # the engine has enough to do meanwhile
            time.sleep(LANDING_SECONDS)
        landed += [self._landed.get() for _ in range(self._landed.qsize())]
        with self._journal.together():
            for item, conclude in landed:
                if self._account(item, conclude):
                    self._under_way -= 1

    def _next(self) -> tuple[Difference, Callable[[], Proof | None]]:
        while True:
            seconds = self._before_waiting() if self._landed.empty() else None
            with suppress(Empty):
                return self._landed.get(timeout=seconds)

    def _account(self, item: Difference, conclude: Callable[[], Proof | None]) -> bool:
        """Conclude an entry and note its result. Returns False when it is going to land once more.
        An error of this entry is recorded. An error that all entries would meet is raised and ends
        the job."""
        try:
            proof = conclude()
            if proof is None:
                return False
            self._journal.done(proof)
        except EntryError as error:
            self._note(item, Failure.of(error))
            self.outcome.stale_hash |= isinstance(error, StaleHashError)
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            why = explain(error, self._transfer, what=self._url(item))
            self._note(item, Failure(item.path, 1, str(why), why.lasting))
        else:
            METER.end(self._key(item), arrived=True)
            self.outcome.proofs[item.path] = proof
            self.outcome.moved_files += 1
            self.outcome.moved_bytes += proof.size
        return True

    def _note(self, item: Difference, failure: Failure) -> None:
        METER.end(self._key(item), arrived=False)
        self.outcome.failed.append(failure)

    def _key(self, item: Difference) -> str:
        return self._transfer.prefix + item.path

    def _url(self, item: Difference) -> str:
        return f"s3://{self._transfer.bucket}/{self._key(item)}"

    def _proof(
        self, item: Difference, answer: Stored, when: str | None = None, sha256: str = ""
    ) -> Proof:
        return Proof(
            item.path,
            self._key(item),
            item.size,
            item.mtime_ns,
            sha256 or item.sha256,
            answer.etag,
            answer.version_id,
            when or utc(),
            item.inode,
        )


def fail(error: BaseException) -> NoReturn:
    """Raise ``error``: the conclusion of an entry that has failed."""
    raise error
