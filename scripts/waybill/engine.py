"""The engine: how bytes get to S3 and back. One narrow seam, so that it can be replaced.

An engine puts one object, puts one part and gets one range; it retries, it never decides. The
botocore engine is always there; DESIGN names a second one.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import botocore.exceptions as be

from waybill.parts import Part
from waybill.s3 import common_arguments, make_client, write_arguments
from waybill.s3_errors import CONFLICT, DAMAGED, error_code, is_missing

if TYPE_CHECKING:
    from waybill.config import Transfer

SOURCE_SHA256 = "source-sha256"  # user metadata: SHA-256 of the whole file, hex (seed: HCA)
SOURCE_MTIME = "source-mtime"  # user metadata: mtime of the file, seconds.nanoseconds

DAMAGED_ATTEMPTS = 3  # of a request whose body does not arrive whole
CUT_ATTEMPTS = 5  # of going on with an answer that breaks off, without a byte of progress
BLOCK_BYTES = 1 << 20  # of an answer, taken at one time


class Stored(NamedTuple):
    """What S3 answered to a write: etag without quotes, version id or ``""``."""

    etag: str
    version_id: str


class ReplacedError(Exception):
    """The object is not the one that was asked for: it was replaced or removed meanwhile."""


class NoRangesError(be.BotoCoreError):
    """The server sends the whole object where a range was asked for."""

    fmt = "the server does not answer ranges, which a large or a broken-off object is fetched by"


class BrokenOffError(be.BotoCoreError):
    """An answer broke off again and again."""

    fmt = "the answer keeps breaking off ({error}); check the network and run again"


class Engine(Protocol):
    """Moves bytes. Every call raises botocore's ClientError or BotoCoreError after retries."""

    def put_object(
        self, key: str, body: bytes, sha256: str, metadata: dict[str, str], condition: dict
    ) -> Stored:
        """Put a whole object whose SHA-256 (hex) S3 is to check; ``condition`` holds IfMatch or
        IfNoneMatch or nothing."""

    def put_part(self, key: str, upload_id: str, number: int, body: bytes, sha256: str) -> str:
        """Put one part whose SHA-256 (hex) S3 is to check; returns its etag without quotes."""

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Callable[[int, bytes], None],
        begin: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Get bytes of the object that has this etag (without quotes); ``sink`` takes each block
        and where it starts, in order. With ``begin`` the part is the whole object, and ``begin``
        gets the answer with its checksums before the first block. Raises ReplacedError."""


def base64_sha256(sha256: str) -> str:
    """A SHA-256 in hex as S3's checksum headers want it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


class Pace:
    """Holds all threads of a job together to ``bytes_per_second``; None is no limit.

    ``clock`` gives seconds, ``sleep`` takes them; both can be replaced in tests.
    """

    def __init__(self, bytes_per_second: int | None, *, clock=time.monotonic, sleep=time.sleep):
        self._rate = bytes_per_second
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()
        self._lock = Lock()

    def spend(self, count: int) -> None:
        """Wait until ``count`` more bytes may go."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + count / self._rate
        if start > now:
            self._sleep(start - now)


def intact(call: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """The answer to a request that is sent again when S3 finds its body damaged, which botocore's
    own retries leave alone."""
    for _ in range(DAMAGED_ATTEMPTS - 1):
        try:
            return call(**arguments)
        except be.ClientError as error:
            if error_code(error) not in DAMAGED:
                raise
    return call(**arguments)


class BotoEngine:
    """The engine on botocore's client; safe to use from several threads."""

    def __init__(self, transfer: Transfer, *, accelerate: bool) -> None:
        self.client = make_client(transfer, accelerate=accelerate)
        self._common = common_arguments(transfer)
        self._write = write_arguments(transfer)
        self._pace = Pace(transfer.max_bandwidth)

    def put_object(
        self, key: str, body: bytes, sha256: str, metadata: dict[str, str], condition: dict
    ) -> Stored:
        self._pace.spend(len(body))
        answer = intact(
            self.client.put_object,
            Key=key,
            Body=body,
            ChecksumSHA256=base64_sha256(sha256),
            Metadata=metadata,
            **self._write,
            **condition,
        )
        return stored(answer)

    def put_part(self, key: str, upload_id: str, number: int, body: bytes, sha256: str) -> str:
        self._pace.spend(len(body))
        answer = intact(
            self.client.upload_part,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            Body=body,
            ChecksumSHA256=base64_sha256(sha256),
            **self._common,
        )
        return answer["ETag"].strip('"')

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Callable[[int, bytes], None],
        begin: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        at, end = part.start, part.start + part.length
        attempts = 0
        while True:
            before = at
            answer = self._open(key, etag, at, end, whole=begin is not None and at == 0)
            if begin is not None:
                begin(answer)
                begin = None
            try:
                # What botocore finds wrong after the last byte, the caller's check finds too.
                with closing(answer["Body"]) as body, suppress(be.FlexibleChecksumError):
                    for block in body.iter_chunks(BLOCK_BYTES):
                        self._pace.spend(len(block))
                        if at + len(block) > end:
                            raise ReplacedError
                        sink(at, block)
                        at += len(block)
                if at == end:
                    return
                raise be.IncompleteReadError(actual_bytes=at, expected_bytes=end)
            except (be.IncompleteReadError, be.HTTPClientError) as error:
                attempts = 1 if at > before else attempts + 1
                if attempts > CUT_ATTEMPTS:
                    raise BrokenOffError(error=type(error).__name__) from None
            time.sleep(random.uniform(0.5, 1) * min(5, 0.2 * 2**attempts))

    def _open(self, key: str, etag: str, at: int, end: int, *, whole: bool) -> dict[str, Any]:
        """The answer to a GET from byte ``at`` on, pinned to ``etag``."""
        how = {"ChecksumMode": "ENABLED"} if whole else {"Range": f"bytes={at}-{end - 1}"}
        try:
            answer = self.client.get_object(Key=key, IfMatch=f'"{etag}"', **how, **self._common)
        except be.ClientError as error:
            if error_code(error) in CONFLICT | {"InvalidRange", "416"} or is_missing(error):
                raise ReplacedError from None
            raise
        if answer["ETag"].strip('"') != etag:  # a store without conditions
            raise ReplacedError
        if not whole and not answer.get("ContentRange", "").startswith(f"bytes {at}-"):
            raise NoRangesError
        return answer


def stored(answer: dict[str, Any]) -> Stored:
    """Etag and version of an answer to PutObject or CompleteMultipartUpload."""
    version = answer.get("VersionId", "")
    return Stored(answer["ETag"].strip('"'), "" if version in ("", "null") else version)
