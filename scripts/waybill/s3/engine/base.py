"""The protocol of an engine, and what its two implementations share.

An engine puts an object or a part, and gets an object or a range. It retries requests and decides
nothing else. The botocore engine (``s3.engine.boto``) can serve every transfer. The native engine
(``s3.engine.native``) sends the same requests for a fraction of the CPU time.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import botocore.exceptions as be

from waybill.s3.causes import AnswerError
from waybill.s3.errors import CONFLICT, error_code, is_missing
from waybill.s3.evidence import ODD_ATTEMPTS, Answer, OddAnswerError, Stored
from waybill.s3.parts import Part
from waybill.s3.request_checksums import RequestChecksums
from waybill.s3.retries import MAX_ATTEMPTS
from waybill.system.meter import METER

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

SOURCE_MTIME = "source-mtime"  # user metadata: mtime of the file, seconds.nanoseconds

CUT_ATTEMPTS = 5  # to resume an answer that breaks off, without a byte of progress


class Content(NamedTuple):
    """The bytes of an object, their SHA-256 (hex) and the user metadata it is to have."""

    body: bytes
    sha256: str
    metadata: dict[str, str]


class ReplacedError(Exception):
    """The object is not the one that was asked for: it was replaced or removed meanwhile."""


class UnsupportedError(Exception):
    """The native engine cannot serve this transfer; the text says why."""


class NoRangesError(AnswerError):
    """The server sends the whole object where a range was asked for."""

    fmt = (
        "the server does not answer ranges, which a large or a broken-off object is fetched by;"
        " ask who runs it to allow them (header Range)"
    )


class CutError(Exception):
    """An answer broke off after it had begun; the text names the error."""


class BrokenOffError(AnswerError):
    """An answer broke off again and again."""

    fmt = "the answer keeps breaking off ({error}); check the network and run again"


Sink = Callable[[int, bytes], None]  # takes a block of an object and where it starts


class Engine(Protocol):
    """Moves bytes; safe to use from several threads. Every call retries, then raises botocore's
    ClientError or BotoCoreError. Where a call returns a Future, the Future holds the error."""

    client: Any  # the botocore client, for everything else

    @property
    def ahead(self) -> int:
        """How many requests wait for their turn."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether it has enough to do for now."""
        ...

    def put_object(
        self, key: str, size: int, load: Callable[[], Content], condition: dict[str, str]
    ) -> Future[Stored]:
        """Put a whole object of ``size`` bytes; S3 checks its bytes. ``condition`` holds IfMatch
        or IfNoneMatch or nothing. The call may wait for its turn, but not for the answer. ``load``
        is called once, in a thread of the engine; its error becomes the error of the Future."""
        ...

    def put_part(
        self, key: str, upload_id: str, number: int, body: bytes, checksum: dict[str, str]
    ) -> str:
        """Put one part with the checksum arguments of ``PartChecksums.of_part``, by which S3 checks
        its bytes. Returns its etag without quotes."""
        ...

    def get_object(self, key: str, etag: str, size: int) -> Future[tuple[Answer, bytes]]:
        """Get the whole object that has this etag (without quotes) into memory. An answer that
        breaks off is requested again as a whole. The call may wait for its turn, but not for the
        answer. The Future may hold a ReplacedError."""
        ...

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Sink,
        begin: Callable[[Answer], None] | None = None,
    ) -> None:
        """Get the bytes of ``part`` of the object that has this etag (without quotes). ``sink``
        gets the blocks in order, each with its start. ``begin`` may be given when the part is the
        whole object: it gets the answer, with checksums, before the first block. Raises
        ReplacedError."""
        ...

    def close(self) -> None:
        """Release threads and connections, without waiting for requests in flight."""
        ...


# One request for the bytes from ``at`` to ``end``; the arguments are (at, end, begin, take). Raises
# CutError when the answer breaks off.
Fetch = Callable[[int, int, Callable[[Answer], None] | None, Sink], None]


def get_through(
    fetch: Fetch, part: Part, sink: Sink, begin: Callable[[Answer], None] | None
) -> None:
    """Fetch all bytes of a part. When an answer breaks off, fetch the rest of the part.

    Raises BrokenOffError when repeated requests bring no more bytes, and the errors of ``fetch``.
    """
    at, end = part.start, part.start + part.length
    cut = odd = 0

    def take(start: int, block: bytes) -> None:
        nonlocal at
        if start + len(block) > end:
            raise ReplacedError
        sink(start, block)
        at = start + len(block)

    def begun(answer: Answer) -> None:
        nonlocal begin
        if begin is not None:
            begin(answer)
            begin = None

    while True:
        before = at
        try:
            fetch(at, end, begun if begin is not None else None, take)
            if at == end:
                return
            raise CutError("IncompleteRead")
        except CutError as error:
            cut = 1 if at > before else cut + 1
            if cut > CUT_ATTEMPTS:
                raise BrokenOffError(error=error) from None
        except OddAnswerError:
            odd += 1
            if odd == ODD_ATTEMPTS:
                raise
        METER.repeat()
        time.sleep(random.uniform(0.5, 1) * min(5, 0.2 * 2 ** (cut + odd)))


def get_whole(fetch: Fetch, size: int) -> tuple[Answer, bytes]:
    """Fetch a whole object of ``size`` bytes into memory. When an answer breaks off, it is
    requested again from its beginning. The caller compares the number of bytes with the size.

    Raises BrokenOffError when all answers break off, ReplacedError for a longer one, and the errors
    of ``fetch``.
    """
    cut = odd = 0
    while True:
        answers: list[Answer] = []
        body = bytearray()

        def take(_: int, block: bytes, body: bytearray = body) -> None:
            body.extend(block)
            if len(body) > size:
                raise ReplacedError

        try:
            fetch(0, size, answers.append, take)
            return answers[0], bytes(body)
        except CutError as error:
            cut += 1
            if cut == MAX_ATTEMPTS:
                raise BrokenOffError(error=error) from None
        except OddAnswerError:
            odd += 1
            if odd == ODD_ATTEMPTS:
                raise
        METER.repeat()
        time.sleep(random.uniform(0.5, 1) * min(5, 0.2 * 2 ** (cut + odd)))


def get_arguments(
    checksums: RequestChecksums, etag: str, at: int, end: int, *, whole: bool
) -> dict[str, str]:
    """The arguments of a GetObject for bytes ``at`` to ``end`` of the object with this etag. A
    range is requested, unless the bytes are a ``whole`` object; then its checksums are
    requested."""
    how = checksums.of_answer() if whole else {"Range": f"bytes={at}-{end - 1}"}
    return {"IfMatch": f'"{etag}"', **how}


def check_answer(answer: Answer, etag: str, at: int, end: int, *, whole: bool) -> None:
    """Raise unless the answer is about the object with this etag, from byte ``at`` to ``end``.

    An answer without an etag is accepted for a whole object: the caller must check its bytes with
    the etag that was requested. Each range must have an etag, because ranges are put together.
    Raises OddAnswerError, ReplacedError or NoRangesError.
    """
    size = answer.get("ContentLength", end - at)
    if "ETag" not in answer:
        if not whole or size != end - at:
            raise OddAnswerError(what="it has no ETag")
    elif answer["ETag"].strip('"') != etag or (whole and size != end - at):
        raise ReplacedError  # a store that ignores conditions
    if not whole and not answer.get("ContentRange", "").startswith(f"bytes {at}-"):
        raise NoRangesError


def is_replaced(error: be.ClientError) -> bool:
    """Whether a GetObject with If-Match failed because the object is another one, or gone."""
    return error_code(error) in CONFLICT | {"InvalidRange", "416"} or is_missing(error)
