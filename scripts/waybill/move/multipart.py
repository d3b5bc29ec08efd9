"""Multipart uploads that resume: a part that both the journal and S3 know is not sent again."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be

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
    etag_of,
    is_about,
    stored,
)
from waybill.s3.parts import Part, PartCrcs, part_size, parts
from waybill.s3.parts_listing import PartsListingError, list_parts
from waybill.s3.request_checksums import RequestChecksums
from waybill.system.budget import Budget
from waybill.system.hashing import read_range
from waybill.system.meter import METER

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_MD5 = re.compile(r"[0-9a-f]{32}")


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
        self._checksums = RequestChecksums(transfer)
        self._said = said

    def put(
        self,
        descriptor: int,
        item: Difference,
        key: str,
        metadata: dict[str, str],
        condition: dict[str, str],
        earlier: list[OpenUpload],
        crcs: PartCrcs | None = None,
    ) -> Stored:
        """Put the open file as one object. Resumes one of its ``earlier`` uploads if possible.

        The bytes must be those of ``item.sha256``. They are checked with ``crcs``, which were
        computed when the file was hashed; without ``crcs`` all bytes are hashed again. Raises
        StaleHashError for other bytes, EntryError when the parts cannot be listed, and botocore's
        errors. A failed upload stays open for the next run; it is added to ``earlier`` for another
        call.
        """
        upload, there = self._resume(item, key, earlier)
        if upload is not None:
            try:
                return self._finish(descriptor, item, upload, there, condition, crcs)
            except be.ClientError as error:
                if error_code(error) != "InvalidRequest":
                    raise
                # It was opened with other checksums than this configuration has.
                log.info("%s: the upload that was begun cannot be resumed: %s", item.path, error)
                self.abort(upload)
        upload = self._create(item, key, metadata)
        earlier.append(upload)
        return self._finish(descriptor, item, upload, {}, condition, crcs)

    def _finish(
        self,
        descriptor: int,
        item: Difference,
        upload: OpenUpload,
        there: dict[int, tuple[str, int]],
        condition: dict[str, str],
        crcs: PartCrcs | None,
    ) -> Stored:
        """Send the missing parts of an upload, and complete it."""
        key = upload.key
        numbered = self._send(descriptor, item, upload, there, crcs)

        def read(answer: Answer) -> Stored:
            if is_about(answer, key) is False:
                raise OddAnswerError(what="it is about another key")
            return stored(answer, is_vouched=_vouches(answer, numbered))

        try:
            answer = self._ask(
                "complete_multipart_upload",
                read,
                Key=key,
                UploadId=upload.id,
                **self._checksums.of_whole(item.size, numbered),
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
        parts in S3: number to (etag, size in bytes). Uploads are aborted that have other bytes, or
        whose parts cannot be listed."""
        for upload in reversed(earlier):
            wanted = (item.size, item.sha256, part_size(item.size), key)
            if (upload.size, upload.sha256, upload.part_size, upload.key) != wanted:
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
        def read(answer: Answer) -> str:
            if not answer.get("UploadId") or is_about(answer, key) is False:
                raise OddAnswerError(what="it has no upload id for this key")
            return str(answer["UploadId"])

        upload_id = self._ask(
            "create_multipart_upload",
            read,
            Key=key,
            Metadata=metadata,
            **self._checksums.of_upload(),
            **self._write,
            **type_arguments(self._transfer, key),
        )
        upload = OpenUpload(item.path, upload_id, item.size, item.sha256, part_size(item.size), key)
        self._journal.upload(upload)
        return upload

    def _send(
        self,
        descriptor: int,
        item: Difference,
        upload: OpenUpload,
        there: dict[int, tuple[str, int]],
        crcs: PartCrcs | None,
    ) -> dict[int, tuple[str, str]]:
        """Send the parts that are missing; returns number to (etag, sha256 hex) of all parts.

        The file is read once, in order, so the hash of all its parts is the hash of the file.
        """
        whole = hashlib.sha256()
        sent: dict[int, Future[tuple[str, str]]] = {}
        try:
            for part in parts(item.size, upload.part_size):
                self._budget.take(part.length)
                try:
                    data = read_range(descriptor, item.path, part.start, part.length)
                except BaseException:
                    self._budget.give(part.length)
                    raise
                if crcs is None:
                    whole.update(data)
                future = self._pool.submit(self._send_part, upload, part, data, there, crcs)
                future.add_done_callback(lambda _, n=part.length: self._budget.give(n))
                sent[part.number] = future
                del data
                if any(f.done() and f.exception() for f in sent.values()):
                    break
            numbered = {number: future.result() for number, future in sent.items()}
            if crcs is None and whole.hexdigest() != item.sha256:
                raise StaleHashError(item.path)
        except BaseException as error:
            for future in sent.values():
                future.cancel()
            if isinstance(error, StaleHashError):
                for future in sent.values():  # a part that arrives after the abort would stay
                    if not future.cancelled():
                        future.exception()
                self.abort(upload)
            raise
        return numbered

    def _send_part(
        self,
        upload: OpenUpload,
        part: Part,
        data: bytes,
        there: dict[int, tuple[str, int]],
        crcs: PartCrcs | None,
    ) -> tuple[str, str]:
        if crcs is not None and not crcs.agrees(part.number, data):
            raise StaleHashError(upload.path)
        sha256 = hashlib.sha256(data).hexdigest()
        etag, journalled = upload.parts.get(part.number, ("", ""))
        if journalled == sha256 and there.get(part.number) == (etag, part.length):
            METER.there(upload.key, part.length)
            return etag, sha256
        etag = self._engine.put_part(upload.key, upload.id, part.number, data, sha256)
        self._journal.part(upload.id, part.number, etag, sha256)
        upload.parts[part.number] = (etag, sha256)
        return etag, sha256

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


def _vouches(answer: Answer, parts: dict[int, tuple[str, str]]) -> bool:
    """Whether an answer to CompleteMultipartUpload proves the object: it has a key, and its
    checksum or ETag follows from these parts (number to (etag, sha256 hex))."""
    if not answer.get("Key"):
        return False
    etags, hashes = zip(*(parts[number] for number in sorted(parts)), strict=True)
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).digest()
    if told := answer.get("ChecksumSHA256"):
        return bool(told.partition("-")[0] == base64.b64encode(whole).decode())
    if not all(map(_MD5.fullmatch, etags)):
        return False
    md5 = hashlib.md5(b"".join(map(bytes.fromhex, etags)), usedforsecurity=False)
    return etag_of(answer) == f"{md5.hexdigest()}-{len(etags)}"
