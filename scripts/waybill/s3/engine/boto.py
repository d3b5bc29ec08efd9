"""The engine on botocore's client: one thread for each request in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from threading import Lock, Semaphore, local
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be

from waybill.s3.client import common_arguments, write_arguments
from waybill.s3.content_types import type_arguments
from waybill.s3.engine.base import (
    Content,
    CutError,
    Fetch,
    ReplacedError,
    Sink,
    check_answer,
    get_arguments,
    get_through,
    get_whole,
    is_replaced,
)
from waybill.s3.evidence import Answer, Stored, Witness, ask, part_stored, understood
from waybill.s3.parts import Part
from waybill.s3.request_checksums import RequestChecksums
from waybill.system.meter import Span
from waybill.system.pace import LARGEST_PIECE, Pace

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

Result = TypeVar("Result")


class BotoEngine:
    """The engine on botocore's client, which also retries."""

    def __init__(self, transfer: Transfer, client: Any) -> None:
        self.client = client
        self._transfer = transfer
        self._common = common_arguments(transfer)
        self._write = write_arguments(transfer)
        self._checksums = RequestChecksums(transfer)
        self._pace = Pace(transfer.max_bandwidth, str(transfer.results))
        self._pool = ThreadPoolExecutor(transfer.threads)
        self._most = 2 * transfer.threads
        self._turns = Semaphore(self._most)
        self._in_flight = 0
        self._lock = Lock()
        self._witness = Witness()
        self._sending = local()  # ``span`` of the request that a thread makes
        for operation in ("PutObject", "UploadPart"):
            client.meta.events.register(f"before-send.s3.{operation}", self._count_body)

    @property
    def ahead(self) -> int:
        return 0

    @property
    def is_busy(self) -> bool:
        return self._in_flight >= self._most

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pace.close()

    def put_object(
        self, key: str, size: int, load: Callable[[], Content], condition: dict[str, str]
    ) -> Future[Stored]:
        def put() -> Stored:
            content = load()
            body, sha256 = content.body, content.sha256
            is_first = self._witness.is_first(sha256)

            def read(answer: Answer) -> Stored:
                request_id = answer["ResponseMetadata"].get("RequestId", "")
                return self._witness.stored(answer, request_id, body, sha256, is_first=is_first)

            with self._counted(key, len(body)):
                return ask(
                    self.client,
                    self.client.put_object,
                    read,
                    Key=key,
                    Body=body,
                    Metadata=content.metadata,
                    **type_arguments(self._transfer, key),
                    **self._checksums.of_body(body, sha256),
                    **self._write,
                    **condition,
                )

        return self._submit(put)

    def put_part(
        self, key: str, upload_id: str, number: int, body: bytes, checksum: dict[str, str]
    ) -> str:
        with self._counted(key, len(body)):
            return ask(
                self.client,
                self.client.upload_part,
                lambda answer: part_stored(answer, body, checksum),
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                **checksum,
                **self._common,
            )

    @contextmanager
    def _counted(self, key: str, size: int) -> Iterator[None]:
        """Count the body of the request that this thread makes, of ``size`` bytes."""
        self._sending.span = span = Span(key)
        try:
            yield
            span.reach(size)
        except BaseException:
            span.drop()
            raise
        finally:
            del self._sending.span

    def _count_body(self, request: Any, **_: object) -> None:
        """botocore hook: hand a body to the system in pieces that are counted and paced; a small
        one only if there is a limit. The request is signed already, and has its length in a
        header."""
        span = getattr(self._sending, "span", None)
        body = request.body
        smallest = 1 if self._pace.is_limited else LARGEST_PIECE + 1
        if span and isinstance(body, BytesIO) and len(body.getbuffer()) >= smallest:
            request.body = _Pieces(body, span, self._pace)

    def get_object(self, key: str, etag: str, size: int) -> Future[tuple[Answer, bytes]]:
        return self._submit(lambda: get_whole(self._fetch(key, etag, Span(key)), size))

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Sink,
        begin: Callable[[Answer], None] | None = None,
    ) -> None:
        get_through(self._fetch(key, etag, Span(key, part.start)), part, sink, begin)

    def _fetch(self, key: str, etag: str, span: Span) -> Fetch:
        """Makes one GET of the object with this etag."""

        def fetch(at: int, end: int, begin: Callable[[Answer], None] | None, take: Sink) -> None:
            answer = self._open(key, etag, at, end, whole=begin is not None)
            if begin is not None:
                begin(answer)
            try:
                # The caller checks the bytes itself, so botocore's checksum error is ignored.
                with closing(answer["Body"]) as body, suppress(be.FlexibleChecksumError):
                    for block in self._pace.spent(body.iter_chunks(self._pace.piece)):
                        take(at, block)
                        at += len(block)
                        span.reach(at)
            except (be.IncompleteReadError, be.HTTPClientError) as error:
                silent = isinstance(error, be.ReadTimeoutError)
                kind = be.ReadTimeoutError if silent else be.ConnectionClosedError
                raise CutError(kind.__name__) from None

        return fetch

    def _submit(self, work: Callable[[], Result]) -> Future[Result]:
        self._turns.acquire()
        with self._lock:
            self._in_flight += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._in_flight -= 1
        self._turns.release()

    def _open(self, key: str, etag: str, at: int, end: int, *, whole: bool) -> Answer:
        """The answer to a GET of the bytes from ``at`` to ``end``, with If-Match. Raises
        ReplacedError, and the other errors of ``check_answer``."""
        how = get_arguments(self._checksums, etag, at, end, whole=whole)
        try:
            answer = understood(self.client.get_object, Key=key, **how, **self._common)
        except be.ClientError as error:
            if is_replaced(error):
                raise ReplacedError from None
            raise
        try:
            check_answer(answer, etag, at, end, whole=whole)
        except BaseException:
            answer["Body"].close()  # closes its connection too, which may be out of step
            raise
        return answer


class _Pieces:
    """The body of a request in pieces. Each waits until it may go, and is counted when the next one
    is asked for."""

    def __init__(self, body: BytesIO, span: Span, pace: Pace) -> None:
        self._body, self._span, self._pace = body, span, pace

    def __iter__(self) -> Iterator[memoryview]:
        sent = 0
        for piece in self._pace.spent([self._body.getbuffer()]):
            yield piece
            sent += len(piece)
            self._span.reach(sent)

    def seek(self, position: int) -> None:
        """Go back to ``position``: botocore does before it sends the request again."""
        self._body.seek(position)
