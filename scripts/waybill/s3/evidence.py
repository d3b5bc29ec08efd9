"""What an answer of S3 tells, and whether it is the answer to the request it is taken for.

Connections are kept. A proxy or a server that answers once too often, or late, has that answer
taken for the one to the next request; a login page of the network is an answer too. So an answer
counts by what it says of the bytes that were sent, never by its place on the wire.
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

from waybill.s3.errors import DAMAGED, error_code

Answer = dict[str, Any]  # in botocore's words
Result = TypeVar("Result")

DAMAGED_ATTEMPTS = 3  # of a request whose body does not arrive whole
ODD_ATTEMPTS = 4  # of a request whose answer is none of S3 to it

# What S3 may compute of a body instead, and its width in bytes.
_CRCS: dict[str, tuple[Callable[[bytes], int], int]] = {
    "ChecksumCRC64NVME": (crt.crc64nvme, 8),
    "ChecksumCRC32C": (crt.crc32c, 4),
    "ChecksumCRC32": (zlib.crc32, 4),
}

_MD5_DIGITS = 32
SMALL_BYTES = 64 << 10  # bodies whose MD5 is computed without a break


class OddAnswerError(be.BotoCoreError):
    """An answer that is not S3's to this request."""

    fmt = (
        "the answer is not one of S3 to this request ({what}); look for a proxy or a login page"
        " on the way, and run again"
    )


class Stored(NamedTuple):
    """What S3 answered to a write: etag without quotes, version id or ``""``, and whether the
    answer can be of nothing but the write of these bytes to this key."""

    etag: str
    version_id: str
    is_vouched: bool = False


def etag_of(answer: Answer) -> str:
    """The etag without quotes that an answer tells. Raises OddAnswerError when it tells none."""
    etag = answer.get("ETag", "").strip('"')
    if not etag:
        raise OddAnswerError(what="it has no ETag")
    return etag


def size_of(head: Answer) -> int:
    """The size in bytes that an answer to HEAD tells. Raises OddAnswerError when it tells none."""
    if "ContentLength" not in head:
        raise OddAnswerError(what="it has no Content-Length")
    return int(head["ContentLength"])


def object_of(head: Answer) -> Answer:
    """An answer to HEAD as it is, for ``ask``. Raises OddAnswerError when it tells of no object."""
    etag_of(head)
    size_of(head)
    return head


def stored(answer: Answer, *, is_vouched: bool = False) -> Stored:
    """Etag and version of an answer about an object. Raises OddAnswerError."""
    version = answer.get("VersionId", "")
    return Stored(etag_of(answer), "" if version == "null" else version, is_vouched)


def is_of(answer: Answer, body: bytes, sha256: str) -> bool | None:
    """Whether the checksum in an answer to a write is that of the bytes that were sent, whose
    SHA-256 is ``sha256`` (hex); None when the answer tells none."""
    if told := answer.get("ChecksumSHA256"):
        return bool(told == base64.b64encode(bytes.fromhex(sha256)).decode())
    for name, (crc, width) in _CRCS.items():
        if told := answer.get(name):
            return bool(told == base64.b64encode(crc(body).to_bytes(width, "big")).decode())
    return None


def part_stored(answer: Answer, body: bytes, sha256: str) -> str:
    """The etag without quotes of a part that was put. Whether it is there, S3 looks at once more
    when the parts are put together. Raises OddAnswerError."""
    if is_of(answer, body, sha256) is False:
        raise OddAnswerError(what="it tells the checksum of other bytes")
    return etag_of(answer)


def is_about(answer: Answer, key: str) -> bool | None:
    """Whether an answer is about this key, however a store writes it; None when it tells none, or
    XML cannot."""
    told = answer.get("Key")
    if not told or not key.isprintable():
        return None
    return unquote(told).lstrip("/") == unquote(key).lstrip("/")


class Witness:
    """Tells which answers to the puts of one job can be of no other put; for several threads.

    An answer with the checksum of a body vouches for the first put of that body. Of the next one it
    may be the answer to the first, repeated: it vouches when its request id was never seen.
    """

    def __init__(self) -> None:
        # Who first sets a key is told by the object that stays under it: no lock is needed.
        self._bodies: dict[str, object] = {}
        self._ids: dict[str, object] = {}
        self._etags_are_md5 = False

    def is_first(self, sha256: str) -> bool:
        """Note that a body is going to be put; whether it is the first of its kind."""
        mine = object()
        return self._bodies.setdefault(sha256, mine) is mine

    def stored(
        self, answer: Answer, request_id: str, body: bytes, sha256: str, *, is_first: bool
    ) -> Stored:
        """What an answer to PutObject tells. Raises OddAnswerError for one to another request."""
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
    """The MD5 in hex of a body. That of a small one takes less time than another thread takes to
    give Python back, which hashlib lets go for more than 2,047 bytes at a time."""
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
    """What ``read`` makes of the answer to a call of the client.

    Asked again is what botocore leaves alone: a request whose body arrives damaged, and, over new
    connections, one whose answer nobody understands (``read`` raises OddAnswerError).
    """
    damaged = odd = 0
    while True:
        try:
            return read(understood(call, **arguments))
        except be.ClientError as error:
            damaged += 1
            if error_code(error) not in DAMAGED or damaged == DAMAGED_ATTEMPTS:
                raise
        except OddAnswerError:
            odd += 1
            client.close()  # its connections, of which one is out of step
            if odd == ODD_ATTEMPTS:
                raise
            time.sleep(random.uniform(0.1, 0.2) * 2**odd)


def understood(call: Callable[..., Answer], **arguments: Any) -> Answer:
    """The answer to a call. Raises OddAnswerError for one that botocore cannot read."""
    try:
        return call(**arguments)
    except (ResponseParserError, ValueError) as error:
        raise OddAnswerError(what=f"it cannot be read, {type(error).__name__}") from None


def as_it_is(answer: Answer) -> Answer:
    """The whole answer: for ``ask``."""
    return answer
