"""Upload: moves the files of one batch to S3 and proves each one."""

from __future__ import annotations

import hashlib
import logging
import time
from concurrent.futures import Future
from functools import partial

import botocore.exceptions as be

from waybill import diff
from waybill.compare import compare_file, with_checksums
from waybill.diff import Difference
from waybill.engine import SOURCE_MTIME, Content, Stored, stored
from waybill.errors import EntryError, StaleHashError
from waybill.hashing import opened, read_small, sha256_of
from waybill.marker import Proof
from waybill.move import Mover
from waybill.multipart import MultipartUploader
from waybill.parts import PartCrcs
from waybill.s3 import write_arguments
from waybill.s3_errors import CONFLICT, UNSUPPORTED, error_code, is_missing
from waybill.same_bytes import SOURCE_SHA256

log = logging.getLogger(__name__)

QUICK_BYTES = 256 << 10  # a file up to this size is read and hashed in less time than threads cost
SLOW_SECONDS = 0.002  # to read such a file: then waiting, not work, is what takes the time
READS = 32  # over which that time is averaged


class Uploader(Mover):
    """One upload job."""

    # Puts are under the condition that the object is still what the listing showed, so that two
    # users cannot overwrite each other unseen; a store without conditions does without.
    _conditions = True

    _read_seconds = 0.0  # to open, read and close a small file, averaged over the last of them
    _disk_is_slow = False  # so that files must be read side by side

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

    def _is_quick(self, item: Difference) -> bool:
        return item.size <= QUICK_BYTES and not self._disk_is_slow

    def _launch(self, item: Difference) -> None:
        condition = self._condition(item)
        sha256 = ""  # of the very bytes that are sent

        def load() -> Content:
            nonlocal sha256
            body = self._read(item)
            sha256 = hashlib.sha256(body).hexdigest()
            if item.sha256 and item.sha256 != sha256:
                raise StaleHashError(item.path)
            return Content(body, sha256, self._metadata(item, sha256))

        if not self._is_quick(item):  # read in this thread, which is one of many
            content = load()
            load = lambda: content  # noqa: E731
        answer = self._engine.put_object(self._key(item), item.size, load, condition)

        def arrived(_: Future[Stored]) -> None:
            self._budget.give(item.size)
            self._land(item, lambda: self._conclude(item, sha256, condition, answer))

        answer.add_done_callback(arrived)

    def _read(self, item: Difference) -> bytes:
        started = time.monotonic()
        body = read_small(self._root, item.entry)
        if item.size <= QUICK_BYTES:
            took = time.monotonic() - started
            self._read_seconds += (took - self._read_seconds) / READS
            self._disk_is_slow = self._read_seconds > SLOW_SECONDS
        return body

    def _conclude(
        self, item: Difference, sha256: str, condition: dict[str, str], answer: Future[Stored]
    ) -> Proof | None:
        try:
            return self._proof(item, answer.result(), sha256=sha256)
        except be.ClientError as error:
            item = item._replace(sha256=sha256)
            if self._without_conditions(error, condition):
                self._pool.submit(self._launch_again, item)
            elif _is_already_there(error):
                asked = self._pool.submit(self._already_there, item)
                asked.add_done_callback(lambda _: self._land(item, asked.result))
            else:
                raise
        return None

    def _launch_again(self, item: Difference) -> None:
        self._budget.force(item.size)  # whoever could give it back may wait for this thread
        self._launch_or_fail(item)

    def _without_conditions(self, error: be.ClientError, condition: dict[str, str]) -> bool:
        """Whether the store does not know conditional writes; it is then asked for none."""
        if error_code(error) not in UNSUPPORTED or not condition:
            return False
        self._conditions = False
        log.info("%s does not support conditional writes", self._transfer.url)
        return True

    def _move_large(self, item: Difference) -> Proof:
        crcs: PartCrcs | None = None
        if not item.sha256:
            crcs = PartCrcs(item.size)
            sha256 = sha256_of(self._root, item.entry, crcs.add)
            item = item._replace(sha256=sha256)
        uploader = MultipartUploader(
            self._engine,
            self._journal,
            self._pool,
            self._budget,
            write_arguments(self._transfer),
            self._common,
        )
        earlier = self._record.open_uploads(item.path)
        key, condition = self._key(item), self._condition(item)
        metadata = self._metadata(item, item.sha256)
        with opened(self._root, item.entry) as descriptor:
            try:
                answer = uploader.put(descriptor, item, key, metadata, condition, earlier, crcs)
            except be.ClientError as error:
                if _is_already_there(error):
                    return self._already_there(item)
                if not self._without_conditions(error, condition):
                    raise
                answer = uploader.put(descriptor, item, key, metadata, {}, earlier, crcs)
        return self._proof(item, answer)

    def _condition(self, item: Difference) -> dict[str, str]:
        if not self._conditions or self._transfer.overwrite == "always":
            return {}
        if item.status == diff.NEW or self._transfer.overwrite == "never":
            return {"IfNoneMatch": "*"}
        return {"IfMatch": f'"{item.etag}"'}

    def _already_there(self, item: Difference) -> Proof:
        """The proof of an object that holds these bytes already; else EntryError."""
        head = partial(self._engine.client.head_object, Key=self._key(item), **self._common)
        try:
            answer = with_checksums(head)
            if compare_file(head, answer, self._root, item.entry, item.sha256).same:
                return self._proof(item, stored(answer))
        except be.ClientError as error:
            if not is_missing(error):
                raise
        raise EntryError(
            item.path,
            f"{self._url(item)} was written or removed by someone else since the listing;"
            " run again",
        )

    @staticmethod
    def _metadata(item: Difference, sha256: str) -> dict[str, str]:
        seconds, nanoseconds = divmod(item.mtime_ns, 1_000_000_000)
        return {SOURCE_SHA256: sha256, SOURCE_MTIME: f"{seconds}.{nanoseconds:09d}"}


def _is_already_there(error: be.ClientError) -> bool:
    """Whether there may be an object already; a repeated request meets the one that its own lost
    answer was about."""
    return error_code(error) in CONFLICT | {"NoSuchUpload"} or is_missing(error)
