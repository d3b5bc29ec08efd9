"""Publishes a manifest: puts it into the bucket, and for preset ``hca`` also beside the data."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be

from waybill.model.errors import WaybillError
from waybill.model.times import utc
from waybill.results.manifest import generated_at
from waybill.results.published import blocks, manifest_name
from waybill.results.seals import sha256_of
from waybill.s3.client import common_arguments, make_client, write_arguments
from waybill.s3.errors import CONFLICT, DENIED, UNSUPPORTED, error_code, explain, is_missing
from waybill.s3.evidence import (
    Answer,
    OddAnswerError,
    Stored,
    ask,
    etag_of,
    object_of,
    size_of,
    stored,
)
from waybill.s3.look import look_for
from waybill.s3.request_checksums import RequestChecksums, base64_sha256
from waybill.system.files import write_atomic
from waybill.system.hashing import BLOCK_BYTES

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


def md5_of(file: BufferedReader) -> str:
    """The MD5 of an open file, as the ETag of a plain object is."""
    file.seek(0)
    return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def publish(transfer: Transfer, manifest: Path) -> tuple[dict[str, Any], list[str]]:
    """Put the manifest under the transfer's publish prefix.

    Its name comes from the time it was assembled, so a manifest that is there already is not
    written again. Nothing is overwritten: when an object with that name holds other bytes, the
    manifest gets the name of a later time. Returns the record of the publication (key, etag, size,
    sha256, time) and notes for the user. Raises WaybillError when S3 refuses the manifest.
    """
    client = make_client(transfer)
    notes = []
    with manifest.open("rb") as file:
        when = generated_at(file)
        shelf = _Shelf(transfer, client, file, hashlib.file_digest(file, "sha256").hexdigest())
        while True:
            key = f"{transfer.publish_prefix}{manifest_name(when)}"
            try:
                if answer := shelf.put(key):
                    break
            except (be.ClientError, be.BotoCoreError) as error:
                raise explain(error, transfer, what=f"s3://{transfer.bucket}/{key}") from None
            notes.append(f"s3://{transfer.bucket}/{key}: holds another manifest; not touched")
            when = max(when + timedelta(milliseconds=1), datetime.now(UTC))
    record = {
        "key": key, "etag": answer.etag, "size": shelf.size, "sha256": shelf.sha256, "time": utc(),
    }  # fmt: skip
    if transfer.manifest_copy:
        copy = transfer.folder / manifest_name(when)
        try:
            if copy.exists() and sha256_of(copy) != shelf.sha256:
                notes.append(f"{copy}: is another manifest; not touched")
            else:
                write_atomic(copy, blocks(manifest))
        except OSError as error:
            notes.append(f"{copy}: no copy of the manifest: {error.strerror}")
    return record, notes


class _Shelf:
    """Puts one manifest, an open file, into the bucket."""

    def __init__(self, transfer: Transfer, client: Any, file: BufferedReader, sha256: str) -> None:
        self._transfer, self._client, self._file = transfer, client, file
        self.sha256, self.size = sha256, file.tell()
        self._may_look = True  # whether this user may HEAD objects

    def put(self, key: str) -> Stored | None:
        """Put the manifest at ``key``; None when another object is there. The key is looked at
        before the write, because a store may ignore the condition of the write."""
        there = self._there(key)
        if there is not None:
            return self._same(key, there)
        try:
            return self._send(key, IfNoneMatch="*")
        except be.ClientError as error:
            if error_code(error) in UNSUPPORTED:
                return self._send(key)
            if error_code(error) not in CONFLICT or not self._may_look:
                raise
        there = self._there(key)
        if there is None:  # a store that does not understand the condition
            return self._send(key)
        return self._same(key, there)

    def _send(self, key: str, **condition: str) -> Stored:
        def put(**arguments: Any) -> dict[str, Any]:
            self._file.seek(0)
            return self._client.put_object(Body=self._file, **arguments)

        def read(answer: Answer) -> Stored:
            told = answer.get("ChecksumSHA256")
            if told and told != base64_sha256(self.sha256):
                raise OddAnswerError(what="it tells the checksum of other bytes")
            return stored(answer, is_vouched=bool(told) or etag_of(answer) == md5_of(self._file))

        answer = ask(
            self._client,
            put,
            read,
            Key=key,
            ContentType="application/json",
            **RequestChecksums(self._transfer).of_file(md5_of(self._file), self.sha256),
            **write_arguments(self._transfer),
            **condition,
        )
        if not answer.is_vouched:
            seen = look_for(self._client, self._transfer, [key]).get(key)
            if seen is None or not seen.is_the(answer, self.size):
                raise WaybillError(
                    f"s3://{self._transfer.bucket}/{key}: a listing does not show what S3 answered"
                    " was written; run again"
                )
        return answer

    def _there(self, key: str) -> dict[str, Any] | None:
        """The answer to a HEAD of ``key``; None when there is no object. None too when this user
        may not look; then only the condition of the write protects an object."""
        try:
            return ask(
                self._client,
                self._client.head_object,
                object_of,
                Key=key,
                **common_arguments(self._transfer),
            )
        except be.ClientError as error:
            if error_code(error) in DENIED:
                self._may_look = False
            elif not is_missing(error):
                raise
            return None

    def _same(self, key: str, there: dict[str, Any]) -> Stored | None:
        """ETag and version of the object at ``key``, if it holds the bytes of this manifest."""
        if size_of(there) != self.size:
            return None
        arguments = common_arguments(self._transfer)
        answer = self._client.get_object(Key=key, **arguments)
        digest = hashlib.sha256()
        for block in answer["Body"].iter_chunks(BLOCK_BYTES):
            digest.update(block)
        return stored(answer) if digest.hexdigest() == self.sha256 else None
