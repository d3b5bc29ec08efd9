"""Upload: moves the files of one batch to S3 and proves each one."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import botocore.exceptions as be

from waybill import diff
from waybill.compare import metadata_sha256
from waybill.diff import Difference
from waybill.engine import SOURCE_MTIME, SOURCE_SHA256, Stored, stored
from waybill.errors import EntryError, StaleHashError
from waybill.hashing import opened, read_range
from waybill.journal import Journal, Record
from waybill.marker import Proof
from waybill.move import Mover
from waybill.multipart import Budget, MultipartUploader
from waybill.s3 import write_arguments
from waybill.s3_errors import CONFLICT, error_code, is_missing

if TYPE_CHECKING:
    from waybill.config import Transfer

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 128 << 20  # of file contents in one job at one time

_UNSUPPORTED = {"NotImplemented", "501"}


class Uploader(Mover):
    """One upload job."""

    def __init__(
        self, transfer: Transfer, journal: Journal, record: Record, run: str, accelerate: bool
    ) -> None:
        super().__init__(transfer, journal, record, run, accelerate)
        self._conditions = True
        self._budget = Budget(IN_MEMORY_BYTES)

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

    def _move_small(self, item: Difference) -> Proof:
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

    def _move_large(self, item: Difference, pool: ThreadPoolExecutor) -> Proof:
        uploader = MultipartUploader(
            self._engine,
            self._journal,
            pool,
            self._budget,
            write_arguments(self._transfer),
            self._common,
        )
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
            if code in CONFLICT or code == "NoSuchUpload" or is_missing(error):
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

    @staticmethod
    def _metadata(item: Difference) -> dict[str, str]:
        seconds, nanoseconds = divmod(item.mtime_ns, 1_000_000_000)
        return {SOURCE_SHA256: item.sha256, SOURCE_MTIME: f"{seconds}.{nanoseconds:09d}"}
