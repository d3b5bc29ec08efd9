"""Multipart uploads that resume: a part that both the journal and S3 know is not sent again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be
from awscrt.checksums import crc64nvme

from waybill.model.difference import Difference
from waybill.model.errors import EntryError, StaleHashError
from waybill.results.journal import Journal, OpenUpload
from waybill.s3.client import common_arguments, write_arguments
from waybill.s3.content_types import type_arguments
from waybill.s3.engine.base import Engine
from waybill.s3.errors import CLASH, DENIED, UNSUPPORTED, error_code
from waybill.s3.evidence import (
    Answer,
    OddAnswerError,
    Stored,
    as_it_is,
    ask,
    is_about,
    stored,
)
from waybill.s3.part_checksums import Kind, PartChecksums, SentPart, combined
from waybill.s3.parts import Part, part_size, parts
from waybill.s3.parts_listing import PartsListingError, list_parts
from waybill.system.budget import Budget
from waybill.system.hashing import read_range
from waybill.system.meter import METER

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class MultipartUploader:
    """Sends large files of one job in parts. ``said`` holds what the job has said already."""

    def __init__(
        self,
        transfer: Transfer,
        engine: Engine,
        journal: Journal,
        pool: ThreadPoolExecutor,
        budget: Budget,
        said: dict[str, object],
    ) -> None:
        self._transfer, self._engine, self._journal = transfer, engine, journal
        self._pool, self._budget = pool, budget
        self._write, self._common = write_arguments(transfer), common_arguments(transfer)
        self._checksums = PartChecksums(transfer)
        self._said = said

    def put(
        self,
        descriptor: int,
        item: Difference,
        key: str,
        metadata: dict[str, str],
        condition: dict[str, str],
        earlier: list[OpenUpload],
        whole: int,
    ) -> Stored:
        """Put the open file as one object. Resumes one of its ``earlier`` uploads if possible.

        ``whole`` is the CRC-64/NVME of the file, from the read that gave ``item.sha256``; the bytes
        that are sent must have it. Raises StaleHashError for other bytes, EntryError when the parts
        cannot be listed, and botocore's errors. A failed upload stays open for the next run; it is
        added to ``earlier`` for another call.
        """
        resumed, there = self._resume(item, key, earlier)
        upload = resumed
        while True:
            if upload is None:
                upload, there = self._create(item, key, metadata), {}
                earlier.append(upload)
            try:
                return self._finish(descriptor, item, upload, there, condition, whole)
            except be.ClientError as error:
                if error_code(error) in UNSUPPORTED:  # of the condition
                    raise
                refused = self._checksums.refused(Kind(upload.checksum), error)
                # A resumed upload may have been opened by another configuration.
                other = upload is resumed and error_code(error) == "InvalidRequest"
                if not (refused or other):
                    raise
                log.info("%s: the upload that was begun cannot be completed: %s", item.path, error)
                self.abort(upload)
                upload = None

    def _finish(
        self,
        descriptor: int,
        item: Difference,
        upload: OpenUpload,
        there: dict[int, tuple[str, int]],
        condition: dict[str, str],
        whole: int,
    ) -> Stored:
        """Send the missing parts of an upload, and complete it."""
        key, kind = upload.key, Kind(upload.checksum)
        numbered = self._send(descriptor, item, upload, there, whole)

        def read(answer: Answer) -> Stored:
            if is_about(answer, key) is False:
                raise OddAnswerError(what="it is about another key")
            vouched = self._checksums.vouches(kind, answer, numbered)
            return stored(answer, is_vouched=vouched)

        try:
            answer = self._ask(
                "complete_multipart_upload",
                read,
                Key=key,
                UploadId=upload.id,
                **self._checksums.of_whole(kind, item.size, numbered),
                **self._common,
                **condition,
            )
        except be.ClientError as error:
            if error_code(error) in CLASH:
                self.abort(upload)
            raise
        self._journal.closed(upload.id)
        return answer

    def _ask(self, operation: str, read: Callable[[Answer], Result], **arguments: Any) -> Result:
        client = self._engine.client
        return ask(client, getattr(client, operation), read, **arguments)

    def _resume(
        self, item: Difference, key: str, earlier: list[OpenUpload]
    ) -> tuple[OpenUpload | None, dict[int, tuple[str, int]]]:
        """The latest upload of the same bytes that S3 still has (None if there is none), and its
        parts in S3: number to (etag, size in bytes). Uploads are aborted that have other bytes or a
        kind of checksum that the configuration forbids, or whose parts cannot be listed."""
        for upload in reversed(earlier):
            wanted = (item.size, item.sha256, part_size(item.size), key)
            there = (upload.size, upload.sha256, upload.part_size, upload.key)
            if there != wanted or not self._checksums.allows(upload.checksum):
                self.abort(upload)
                continue
            try:
                return upload, list_parts(self._engine.client, self._transfer, key, upload.id)
            except PartsListingError as error:
                self._give_up(upload)
                text = f"{error}; the upload that was begun is given up, run again"
                raise EntryError(item.path, text) from None
            except be.ClientError as error:
                code = error_code(error)
                if code == "NoSuchUpload":
                    self._journal.closed(upload.id)
                elif code in DENIED | UNSUPPORTED | {"MethodNotAllowed", "405"}:
                    self._say_once(
                        "%s: ListParts is refused (%s), so uploads in parts that were cut off begin"
                        " anew; to have them resumed, ask for the permission"
                        " s3:ListMultipartUploadParts",
                        code,
                    )
                    self._give_up(upload)
                else:
                    raise
        return None, {}

    def _say_once(self, text: str, code: str) -> None:
        mine = object()
        if self._said.setdefault(text, mine) is mine:
            log.warning(text, self._transfer.url, code)

    def _give_up(self, upload: OpenUpload) -> None:
        """Abort an upload that is not resumed. If that is refused, its parts stay."""
        try:
            self.abort(upload)
        except be.ClientError as error:
            if error_code(error) not in DENIED | UNSUPPORTED:
                raise
            self._say_once(
                "%s: AbortMultipartUpload is refused (%s), so the parts of cut-off uploads stay in"
                " the bucket; a lifecycle rule AbortIncompleteMultipartUpload clears them",
                error_code(error),
            )
            self._journal.closed(upload.id)

    def _create(self, item: Difference, key: str, metadata: dict[str, str]) -> OpenUpload:
        """Open an upload with the best kind of checksum that the store knows."""

        def read(answer: Answer) -> Answer:
            if not answer.get("UploadId") or is_about(answer, key) is False:
                raise OddAnswerError(what="it has no upload id for this key")
            return answer

        while True:
            kind = self._checksums.kind
            try:
                answer = self._ask(
                    "create_multipart_upload",
                    read,
                    Key=key,
                    Metadata=metadata,
                    **self._checksums.of_upload(kind),
                    **self._write,
                    **type_arguments(self._transfer, key),
                )
            except be.ClientError as error:
                if self._checksums.refused(kind, error):
                    continue
                raise
            passed_over = self._checksums.passed_over(kind, answer)
            if passed_over and kind is Kind.SHA256:
                kind = Kind.NONE
            upload = OpenUpload(
                item.path, str(answer["UploadId"]), item.size, item.sha256, part_size(item.size),
                key, kind,
            )  # fmt: skip
            self._journal.upload(upload)
            if not passed_over or kind is Kind.NONE:
                return upload
            self._give_up(upload)

    def _send(
        self,
        descriptor: int,
        item: Difference,
        upload: OpenUpload,
        there: dict[int, tuple[str, int]],
        whole: int,
    ) -> dict[int, SentPart]:
        """Send the parts that are missing; returns all parts by number. They are read and sent side
        by side, and begun in their order: some stores hold a part until those before it are there.
        The bytes in memory are bounded by the budget."""
        sending: dict[int, Future[SentPart]] = {}
        failed = Event()

        def ended(future: Future[SentPart], length: int) -> None:
            self._budget.give(length)
            if future.cancelled() or future.exception():
                failed.set()

        try:
            for part in parts(item.size, upload.part_size):
                self._budget.take(part.length)
                future = self._pool.submit(self._send_part, descriptor, upload, part, there)
                future.add_done_callback(partial(ended, length=part.length))
                sending[part.number] = future
                if failed.is_set():
                    break
            sent = {number: future.result() for number, future in sending.items()}
            if combined(sent) != whole:
                self.abort(upload)
                raise StaleHashError(item.path)
            return sent
        finally:
            for future in sending.values():
                future.cancel()
            wait(sending.values())  # no thread may read a file that is closed

    def _send_part(
        self, descriptor: int, upload: OpenUpload, part: Part, there: dict[int, tuple[str, int]]
    ) -> SentPart:
        data = read_range(descriptor, upload.path, part.start, part.length)
        crc = crc64nvme(data)
        mark, checksum = self._checksums.of_part(Kind(upload.checksum), data, crc)
        etag, journalled = upload.parts.get(part.number, ("", ""))
        if journalled == mark and there.get(part.number) == (etag, part.length):
            METER.there(upload.key, part.length)
        else:
            etag = self._engine.put_part(upload.key, upload.id, part.number, data, checksum)
            self._journal.part(upload.id, part.number, etag, mark)
            upload.parts[part.number] = (etag, mark)
        return SentPart(etag, crc, part.length, mark)

    def abort(self, upload: OpenUpload) -> None:
        """Abort an open upload, so that its parts no longer cost storage."""
        try:
            self._ask(
                "abort_multipart_upload",
                as_it_is,
                Key=upload.key,
                UploadId=upload.id,
                **self._common,
            )
        except be.ClientError as error:
            if error_code(error) != "NoSuchUpload":
                raise
        self._journal.closed(upload.id)
