"""Upload: moves the files of one batch to S3 and proves each one."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections import Counter
from concurrent.futures import Future
from functools import cached_property, partial
from typing import Any

import botocore.exceptions as be
from awscrt.checksums import crc64nvme

from waybill.model import difference
from waybill.model.difference import Difference
from waybill.model.errors import EntryError, StaleHashError
from waybill.move.checksum import CRC_BYTES, checksums_of
from waybill.move.compare import compare_file, with_checksums
from waybill.move.mover import Mover, fail
from waybill.move.multipart import MultipartUploader
from waybill.results.marker import Proof
from waybill.s3.engine.base import SOURCE_MTIME, Content
from waybill.s3.errors import CLASH, CONFLICT, UNSUPPORTED, error_code, is_missing
from waybill.s3.evidence import Stored, ask, etag_of, object_of, stored
from waybill.s3.look import look_for
from waybill.s3.request_checksums import RequestChecksums
from waybill.s3.same_bytes import SOURCE_SHA256
from waybill.system.futures import error_of
from waybill.system.hashing import opened, read_small
from waybill.system.meter import METER

log = logging.getLogger(__name__)

QUICK_BYTES = 256 << 10  # a file up to this size is read and hashed faster than threads switch
SLOW_SECONDS = 0.002  # if reading such a file takes longer, the disk is what the job waits for
READS = 32  # over which that time is averaged

LOOK_AT = 1_000  # objects in one look: a killed job loses those that it has not looked for
ATTEMPTS = 4  # to write an object that is missing afterwards, or that others write at the same time

_UNMET = {"PreconditionFailed", "412"}


class Uploader(Mover):
    """One upload job."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Each write has the condition that the object is still as listed, so that two users cannot
        # overwrite each other's objects unnoticed. The store does not support these conditions.
        self._refused: set[str] = set()
        self._unvouched: list[tuple[Difference, Stored]] = []  # to be looked for by name
        self._again: Counter[str] = Counter()  # how often a path was sent once more
        self._said: dict[str, object] = {}  # warnings that are given once
        self._checksums = RequestChecksums(self._transfer)

    _read_seconds = 0.0  # to open, read and close a small file, averaged over the last of them
    _disk_is_slow = False  # so that files must be read side by side

    def _finished(self, item: Difference) -> Proof | None:
        """The journal's proof of an entry, when it still holds: it was written after the listing,
        or the listing shows the proven object."""
        run, proof = self._record.done.get(item.path, ("", None))
        if proof is None or (proof.size, proof.sha256) != (item.size, item.sha256):
            return None
        if proof.key != self._key(item):
            return None
        listed = proof.etag == item.etag and self._transfer.overwrite != "always"
        if not (listed or run == self._run_token):
            return None
        return proof._replace(mtime_ns=item.mtime_ns, inode=item.inode)

    def _is_quick(self, item: Difference) -> bool:
        return item.size <= QUICK_BYTES and not self._disk_is_slow

    def _launch(self, item: Difference) -> None:
        condition = self._condition(item)
        sha256 = ""  # of the bytes that are sent

        def load() -> Content:
            nonlocal sha256
            body = self._read(item)
            sha256 = self._sha256_of(item, body)
            if not item.sha256:
                METER.hash(len(body))
            return Content(body, sha256, self._metadata(item, sha256))

        if not self._is_quick(item):  # read in this thread, which is one of many
            content = load()
            load = lambda: content  # noqa: E731
        answer = self._engine.put_object(self._key(item), item.size, load, condition)

        def arrived(_: Future[Stored]) -> None:
            self._budget.give(item.size)
            self._land(item, lambda: self._conclude(item, sha256, condition, answer))

        answer.add_done_callback(arrived)

    def _sha256_of(self, item: Difference, body: bytes) -> str:
        """The SHA-256 (hex) of the bytes of a file. It is not computed where the CRC-64/NVME shows
        that they are those that were hashed. Raises StaleHashError for other bytes."""
        if noted := self._noted_crc(item):
            same, sha256 = crc64nvme(body) == int(noted, 16), item.sha256
        else:
            sha256 = hashlib.sha256(body).hexdigest()
            same = item.sha256 in ("", sha256)
        if not same:
            raise StaleHashError(item.path)
        return sha256

    def _noted_crc(self, item: Difference) -> str:
        """The CRC-64/NVME (hex) of the file from the read that gave its SHA-256; ``""`` when it was
        not kept."""
        if item.size < CRC_BYTES or not item.sha256:
            return ""
        noted = self._noted(item.entry)
        return noted.crc64nvme if noted and noted.sha256 == item.sha256 else ""

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
        if sha256 != item.sha256 and sha256:
            item = item._replace(sha256=sha256)
        try:
            return self._proven(item, answer.result())
        except be.ClientError as error:
            if self._without_conditions(error, condition):
                self._pool.submit(self._launch_again, item)
            elif _is_already_there(error):
                asked = self._pool.submit(self._already_there, item, condition, error)
                asked.add_done_callback(
                    lambda _: self._land(item, lambda: self._proven(item, asked.result()))
                )
            else:
                raise
        return None

    def _proven(self, item: Difference, answer: Stored | None) -> Proof | None:
        """The proof of an entry; None when the entry is going to be sent again, or its object is
        going to be looked for by name."""
        if answer is None:
            self._pool.submit(self._launch_again, item)
        elif answer.is_vouched:
            return self._proof(item, answer)
        else:
            self._unvouched.append((item, answer))
            if len(self._unvouched) >= LOOK_AT:
                self._look()
        return None

    def _before_waiting(self) -> float | None:
        if self._unvouched and len(self._unvouched) == self._under_way:
            self._look()
        return None

    def _look(self) -> None:
        """Look by name for the objects whose answers prove nothing."""
        unvouched, self._unvouched = self._unvouched, []

        def look() -> None:
            found = look_for(
                self._engine.client, self._transfer, [self._key(i) for i, _ in unvouched]
            )
            for item, answer in unvouched:
                seen = found.get(self._key(item))
                there = seen is not None and seen.is_the(answer, item.size)
                self._land(item, partial(self._looked_for, item, answer, there))

        def looked() -> None:
            if error := error_of(look):
                for item, _ in unvouched:
                    self._land(item, partial(fail, error))

        self._pool.submit(looked)

    def _looked_for(self, item: Difference, answer: Stored, there: bool) -> Proof | None:
        if there:
            return self._proof(item, answer)
        self._again[item.path] += 1
        if self._again[item.path] < ATTEMPTS:
            return self._proven(item, None)
        raise self._not_there(item)

    def _not_there(self, item: Difference) -> EntryError:
        text = f"S3 answered that {self._url(item)} was written, and a listing does not show that"
        return EntryError(item.path, f"{text} object; look for a proxy on the way, and run again")

    def _launch_again(self, item: Difference) -> None:
        self._budget.force(item.size)  # waiting could block: the other thread may wait for this one
        self._launch_or_fail(item)

    def _without_conditions(self, error: be.ClientError, condition: dict[str, str]) -> bool:
        """Whether the error says that the store has no conditional writes. If so, this job writes
        without conditions from now on."""
        if error_code(error) not in UNSUPPORTED or not condition:
            return False
        self._refused |= {"IfMatch", "IfNoneMatch"}
        log.info("%s does not support conditional writes", self._transfer.url)
        return True

    @cached_property
    def _in_parts(self) -> MultipartUploader:
        return MultipartUploader(
            self._transfer, self._engine, self._journal, self._pool, self._budget, self._said
        )

    def _move_large(self, item: Difference) -> Proof:
        crc = self._noted_crc(item)
        if not crc:
            sha256, crc = checksums_of(self._root, item.entry)
            if item.sha256 not in ("", sha256):
                raise StaleHashError(item.path)
            item = item._replace(sha256=sha256)
        earlier = self._record.open_uploads(item.path)
        key = self._key(item)
        metadata = self._metadata(item, item.sha256)
        with opened(self._root, item.entry) as descriptor:
            answer: Stored | None = None
            while answer is None:
                condition = self._condition(item)
                try:
                    answer = self._in_parts.put(
                        descriptor, item, key, metadata, condition, earlier, int(crc, 16)
                    )
                except be.ClientError as error:
                    if self._without_conditions(error, condition):
                        continue
                    if error_code(error) == "InvalidPart" and self._may_repeat(item):
                        continue  # S3 lacks a part that it answered was there
                    if not _is_already_there(error):
                        raise
                    answer = self._already_there(item, condition, error)
        if not answer.is_vouched:
            seen = look_for(self._engine.client, self._transfer, [key]).get(key)
            if seen is None or not seen.is_the(answer, item.size):
                raise self._not_there(item)
        return self._proof(item, answer)

    def _condition(self, item: Difference) -> dict[str, str]:
        if self._transfer.overwrite == "always":
            return {}
        if item.status == difference.NEW or self._transfer.overwrite == "never":
            condition = {"IfNoneMatch": "*"}
        else:
            condition = {"IfMatch": f'"{item.etag}"'}
        return {} if self._refused and self._refused & condition.keys() else condition

    def _may_repeat(self, item: Difference) -> bool:
        self._again[item.path] += 1
        return self._again[item.path] < ATTEMPTS

    def _already_there(
        self, item: Difference, condition: dict[str, str], error: be.ClientError
    ) -> Stored | None:
        """The object at the key of an entry, after a conditional write has failed.

        It is returned when it holds the bytes of the file, no matter who wrote it. Returns None
        when the file is to be sent again. Raises EntryError when someone else wrote or removed the
        object.
        """
        client, there = self._engine.client, {}
        key = self._key(item)
        head = partial(ask, client, client.head_object, object_of, Key=key, **self._common)
        try:
            there = with_checksums(self._checksums, head)
            more = {"md5_etags": self._transfer.etag_is_md5}
            if compare_file(head, there, self._root, item.entry, item.sha256, **more).same:
                return stored(there)
        except be.ClientError as unseen:
            if not is_missing(unseen):
                raise
        if error_code(error) in CLASH and self._may_repeat(item):
            time.sleep(random.uniform(0.2, 0.6))
            return None
        if error_code(error) in _UNMET and self._holds(condition, there):
            return None
        raise EntryError(
            item.path,
            f"{self._url(item)} was written or removed by someone else since the listing;"
            " run again",
        )

    def _holds(self, condition: dict[str, str], head: dict[str, Any]) -> bool:
        """Whether a condition holds although the store said that it does not. Such a store does not
        support the condition, and this job no longer sends it."""
        if "IfMatch" in condition:
            holds = bool(head) and condition["IfMatch"] == f'"{etag_of(head)}"'
        else:
            holds = bool(condition) and not head
        if holds and not self._refused & condition.keys():
            self._refused |= condition.keys()
            name = "If-Match" if "IfMatch" in condition else "If-None-Match"
            log.warning(
                "%s refuses writes with %s though the objects are as listed; this job writes"
                " without: what others write at the same time is overwritten unseen",
                self._transfer.url,
                name,
            )
        return holds

    @staticmethod
    def _metadata(item: Difference, sha256: str) -> dict[str, str]:
        seconds, nanoseconds = divmod(item.mtime_ns, 1_000_000_000)
        return {SOURCE_SHA256: sha256, SOURCE_MTIME: f"{seconds}.{nanoseconds:09d}"}


def _is_already_there(error: be.ClientError) -> bool:
    """Whether the error means that an object may be there already. It can be the object of the same
    write: its answer was lost, and the request was repeated."""
    return error_code(error) in CONFLICT | CLASH | {"NoSuchUpload", "NoSuchKey", "NotFound"}
