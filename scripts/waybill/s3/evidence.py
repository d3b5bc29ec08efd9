"""Reads answers of S3, and decides whether an answer belongs to the request that was sent.

Connections are kept. If a proxy or a server answers twice or late, its answer is taken for the
answer to the next request. A login page of the network can be an answer, too. So an answer counts
when it names the bytes that were sent. Its place in the connection proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

import botocore.exceptions as be
from awscrt import checksums as crt
from botocore.parsers import ResponseParserError

from waybill.s3.causes import AnswerError
from waybill.s3.errors import DAMAGED, error_code
from waybill.system.meter import METER

Answer = dict[str, Any]  # as botocore returns it
Result = TypeVar("Result")

DAMAGED_ATTEMPTS = 3  # of a request whose body arrives damaged
ODD_ATTEMPTS = 4  # of a request that gets the answer to another one, or an answer of another server

# The checksums that S3 may return in place of SHA-256: the function, and its width in bytes.
_CRCS: dict[str, tuple[Callable[[bytes], int], int]] = {
    "ChecksumCRC64NVME": (crt.crc64nvme, 8),
    "ChecksumCRC32C": (crt.crc32c, 4),
    "ChecksumCRC32": (zlib.crc32, 4),
}

_MD5_DIGITS = 32
SMALL_BYTES = 64 << 10  # the MD5 of a body up to this size is computed without a thread switch


class OddAnswerError(AnswerError):
    """An answer that is not the answer of S3 to this request."""

    fmt = (
        "the answer is not one of S3 to this request ({what}); look for a proxy or a login page"
        " on the way, and run again"
    )


class Stored(NamedTuple):
    """The answer of S3 to a write: etag without quotes, and version id or ``""``. ``is_vouched``
    means that the answer alone proves that these bytes were written to this key."""

    etag: str
    version_id: str
    is_vouched: bool = False


def etag_of(answer: Answer) -> str:
    """The etag in an answer, without quotes. Raises OddAnswerError when there is none."""
    etag = answer.get("ETag", "").strip('"')
    if not etag:
        raise OddAnswerError(what="it has no ETag")
    return etag


def size_of(head: Answer) -> int:
    """The size in bytes in an answer to HEAD. Raises OddAnswerError when there is none."""
    if "ContentLength" not in head:
        raise OddAnswerError(what="it has no Content-Length")
    return int(head["ContentLength"])


def object_of(head: Answer) -> Answer:
    """An answer to HEAD, unchanged; a ``read`` for ``ask``. Raises OddAnswerError when the answer
    has no etag or no size."""
    etag_of(head)
    size_of(head)
    return head


def stored(answer: Answer, *, is_vouched: bool = False) -> Stored:
    """Etag and version in an answer about an object. Raises OddAnswerError when it has no etag."""
    version = answer.get("VersionId", "")
    return Stored(etag_of(answer), "" if version == "null" else version, is_vouched)


def is_of(answer: Answer, body: bytes, sha256: str = "") -> bool | None:
    """Whether the checksum in the answer to a write is that of the sent ``body``; its SHA-256 is
    ``sha256`` (hex) where it is known. None when the answer has no checksum."""
    if told := answer.get("ChecksumSHA256"):
        sha256 = sha256 or hashlib.sha256(body).hexdigest()
        return bool(told == base64.b64encode(bytes.fromhex(sha256)).decode())
    for name, (crc, width) in _CRCS.items():
        if told := answer.get(name):
            return bool(told == base64.b64encode(crc(body).to_bytes(width, "big")).decode())
    return None


def part_stored(answer: Answer, body: bytes, checksum: dict[str, str]) -> str:
    """The etag of a part that was put with this checksum argument, without quotes. S3 checks that
    the part is there when the upload is completed. Raises OddAnswerError for the answer to another
    request."""
    agrees = any(answer.get(name) == text for name, text in checksum.items())
    if not agrees and is_of(answer, body) is False:
        raise OddAnswerError(what="it tells the checksum of other bytes")
    return etag_of(answer)


def is_about(answer: Answer, key: str) -> bool | None:
    """Whether an answer is about this key, which stores encode in different ways. None when the
    answer has no key, or when XML cannot hold this key."""
    told = answer.get("Key")
    if not told or not key.isprintable():
        return None
    return unquote(told).lstrip("/") == unquote(key).lstrip("/")


class Witness:
    """Decides which answers to the puts of one job prove their put. Safe to use from several
    threads.

    An answer with the checksum of a body proves the first put of that body. For a later put of the
    same body, such an answer may be a repetition of the first one. It is proof only when its
    request id was never seen before.
    """

    def __init__(self) -> None:
        # ``setdefault`` keeps the object of the first caller, so no lock is needed.
        self._bodies: dict[str, object] = {}
        self._ids: dict[str, object] = {}
        self._etags_are_md5 = False

    def is_first(self, sha256: str) -> bool:
        """Note that a body is going to be put. Returns whether this is its first put."""
        mine = object()
        return self._bodies.setdefault(sha256, mine) is mine

    def stored(
        self, answer: Answer, request_id: str, body: bytes, sha256: str, *, is_first: bool
    ) -> Stored:
        """The answer to a PutObject. Raises OddAnswerError for the answer to another request."""
        mine = object()
        is_new = self._ids.setdefault(request_id, mine) is mine and request_id != ""
        etag = etag_of(answer)
        agrees = is_of(answer, body, sha256)
        if agrees is None and len(etag) == _MD5_DIGITS:
            if etag == _md5(body):
                agrees = self._etags_are_md5 = True
            elif self._etags_are_md5 and not _has_key(answer):
                agrees = False
        if agrees is False:
            raise OddAnswerError(what="it tells the checksum of other bytes")
        return stored(answer, is_vouched=bool(agrees) and (is_first or is_new))


def _md5(body: bytes) -> str:
    """The MD5 (hex) of a body. hashlib releases Python's lock for more than 2,047 bytes at a time.
    For a small body, waiting for the lock would take longer than the hash: it is hashed in steps.
    """
    digest = hashlib.md5(usedforsecurity=False)
    step = 2_047 if len(body) <= SMALL_BYTES else len(body)
    view = memoryview(body)
    for start in range(0, len(body), step):
        digest.update(view[start : start + step])
    return digest.hexdigest()


def _has_key(answer: Answer) -> bool:
    """Whether S3 encrypts with a key, so that the ETag is no MD5."""
    return str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")


def ask(
    client: Any, call: Callable[..., Answer], read: Callable[[Answer], Result], **arguments: Any
) -> Result:
    """Make a call of the client, and return what ``read`` makes of the answer.

    Two kinds of requests are repeated that botocore does not repeat: a request whose body arrives
    damaged, and a request with an odd answer (``read`` raises OddAnswerError). The second kind is
    sent again over new connections.
    """
    damaged = odd = 0
    while True:
        try:
            return read(understood(call, **arguments))
        except be.ClientError as error:
            damaged += 1
            if error_code(error) not in DAMAGED or damaged == DAMAGED_ATTEMPTS:
                raise
            METER.repeat()
        except OddAnswerError:
            odd += 1
            client.close()  # closes its connections: one of them is out of step
            if odd == ODD_ATTEMPTS:
                raise
            METER.repeat()
            time.sleep(random.uniform(0.1, 0.2) * 2**odd)


def understood(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """The answer to a call. Raises OddAnswerError for one that botocore cannot read."""
    try:
        return call(**arguments)
    except be.BotoCoreError:  # some are ValueErrors
        raise
    except (ResponseParserError, ValueError) as error:
        raise OddAnswerError(what=f"it cannot be read, {type(error).__name__}") from None


def as_it_is(answer: Answer) -> Answer:
    """The whole answer; a ``read`` for ``ask``."""
    return answer
