"""The native engine: it sends requests itself, and the AWS Common Runtime (awscrt) signs them.

It sends the same requests as botocore, to the same address and with the same signature. It does not
build each request from the service model, which takes most of the CPU time of a small object. The
connections are those of asyncio: awscrt's own take twice the CPU (benchmarks/profile.md), because
their threads wait for Python's lock again and again. Transfers that this engine cannot serve (a
proxy, a directory bucket, an access point of several regions) are left to the botocore engine.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import botocore.exceptions as be
import botocore.session

from waybill.s3.client import CONNECT_TIMEOUT_SECONDS, common_arguments, write_arguments
from waybill.s3.content_types import type_arguments
from waybill.s3.engine.base import (
    BrokenOffError,
    Content,
    CutError,
    ReplacedError,
    Sink,
    check_answer,
    get_arguments,
    get_through,
    is_replaced,
)
from waybill.s3.engine.boto import BotoEngine
from waybill.s3.engine.call import Call
from waybill.s3.engine.headers import HeaderCodec
from waybill.s3.engine.limit import Gate
from waybill.s3.engine.signer import Signer, signed_body
from waybill.s3.engine.target import target
from waybill.s3.errors import DAMAGED, ELSEWHERE, error_code, is_fatal
from waybill.s3.evidence import (
    DAMAGED_ATTEMPTS,
    ODD_ATTEMPTS,
    Answer,
    OddAnswerError,
    Stored,
    Witness,
    part_stored,
)
from waybill.s3.http.body import Flow
from waybill.s3.http.connections import Connections
from waybill.s3.http.exchange import ClosedError, Exchange
from waybill.s3.parts import Part
from waybill.s3.request_checksums import RequestChecksums
from waybill.s3.retries import MAX_ATTEMPTS, is_throttled, may_pass, retry_after
from waybill.system.futures import error_of, settle
from waybill.system.meter import METER, Span
from waybill.system.pace import Pace

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

log = logging.getLogger(__name__)

_PLAIN = re.compile(r"[A-Za-z0-9_.\-/~]+")  # a key that is its own path

AHEAD = 32  # calls that may wait for their turn, so that sending goes on while the caller works


class NativeEngine:
    """The engine with awscrt's signer; ``client`` is botocore's, made from ``session``.

    Raises UnsupportedError for a transfer that only botocore can serve, and WaybillError when there
    are no credentials.
    """

    def __init__(self, transfer: Transfer, session: botocore.session.Session, client: Any) -> None:
        self.client = client
        self._transfer = transfer
        self._to = target(transfer, session, client)
        self._codec = codec = HeaderCodec(client)
        self._write = codec.headers("PutObject", write_arguments(transfer))
        common = common_arguments(transfer)
        self._common = {name: codec.headers(name, common) for name in ("UploadPart", "GetObject")}
        self._checksums = RequestChecksums(transfer)
        self._pace = Pace(transfer.max_bandwidth, str(transfer.results))
        self._gate = Gate(transfer.max_concurrency)
        self._waiting: deque[Call] = deque()  # for their turn
        self._is_sending = self._is_paused = False
        self._is_elsewhere = False
        self._signer = Signer(self._to)
        self._witness = Witness()
        self._connections = Connections(
            self._to.url,
            timeout=transfer.timeout,
            connect_timeout=min(CONNECT_TIMEOUT_SECONDS, transfer.timeout),
            ca_file=self._to.ca_file,
            pace=self._pace,
        )

    @property
    def ahead(self) -> int:
        return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        return len(self._waiting) >= AHEAD

    def close(self) -> None:
        self._connections.close()
        self._pace.close()

    @cached_property
    def _botocore(self) -> BotoEngine:
        """The engine for a bucket that is in another region: botocore follows the redirect."""
        log.info("%s is in another region; botocore goes there", self._transfer.url)
        self._is_elsewhere = True
        return BotoEngine(self._transfer, self.client)

    def put_object(
        self, key: str, size: int, load: Callable[[], Content], condition: dict[str, str]
    ) -> Future[Stored]:
        if self._is_elsewhere:
            return self._botocore.put_object(key, size, load, condition)
        call = Call("PutObject", self._path(key), Span(key), self._write)

        def prepare() -> None:
            content = load()
            is_first = self._witness.is_first(content.sha256)
            call.read = lambda answer, request_id: self._witness.stored(
                answer, request_id, content.body, content.sha256, is_first=is_first
            )
            call.body, call.sha256 = content.body, content.sha256
            checksum = self._checksums.of_body(content.body, content.sha256)
            call.headers = [
                *self._write,
                *self._codec.headers(
                    "PutObject", condition | checksum | type_arguments(self._transfer, key)
                ),
                *((f"x-amz-meta-{name}", value) for name, value in content.metadata.items()),
            ]
            call.elsewhere = lambda: self._botocore.put_object(
                key, size, lambda: content, condition
            )

        call.prepare, call.moved = prepare, size
        return self._start(call)

    def put_part(
        self, key: str, upload_id: str, number: int, body: bytes, checksum: dict[str, str]
    ) -> str:
        if self._is_elsewhere:
            return self._botocore.put_part(key, upload_id, number, body, checksum)
        path = f"{self._path(key)}?partNumber={number}&uploadId={quote(upload_id, safe='-._~')}"
        headers = [*self._common["UploadPart"], *self._codec.headers("UploadPart", checksum)]
        read = lambda answer, _: part_stored(answer, body, checksum)  # noqa: E731
        signed = signed_body(self._to, body, checksum)
        try:
            call = Call("UploadPart", path, Span(key), headers, body, signed, read=read)
            return self._start(call).result()
        except be.ClientError as error:
            if error_code(error) not in ELSEWHERE:
                raise
        return self._botocore.put_part(key, upload_id, number, body, checksum)

    def get_object(self, key: str, etag: str, size: int) -> Future[tuple[Answer, bytes]]:
        if self._is_elsewhere:
            return self._botocore.get_object(key, etag, size)
        self._pace.spend(size)

        def read(answer: Answer, _: str) -> Answer:
            check_answer(answer, etag, 0, size, whole=True)
            return answer

        call = self._get_call(key, etag, 0, size, whole=True)
        call.moved, call.read, call.keeps = size, read, True
        call.elsewhere = lambda: self._botocore.get_object(key, etag, size)
        return self._start(call)

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Sink,
        begin: Callable[[Answer], None] | None = None,
    ) -> None:
        span = Span(key, part.start)

        def fetch(at: int, end: int, begin: Callable[[Answer], None] | None, take: Sink) -> None:
            whole = begin is not None
            call = self._get_call(key, etag, at, end, whole=whole)
            call.flow = flow = Flow(self._connections)
            ended = self._start(call)
            ended.add_done_callback(lambda _: flow.end())
            try:
                headers = flow.headers()
                if headers is not None:
                    answer = self._codec.answer("GetObject", headers)
                    check_answer(answer, etag, at, end, whole=whole)
                    if begin is not None:
                        begin(answer)
                    for block in self._pace.spent(flow.blocks()):
                        take(at, block)
                        at += len(block)
                        call.moved += len(block)
                        span.reach(at)
            except BaseException:
                flow.give_up()
                raise
            try:
                ended.result()
            except be.HTTPClientError as error:
                if not call.accepted:
                    raise
                raise CutError(type(error).__name__) from None

        try:
            if not self._is_elsewhere:
                return get_through(fetch, part, sink, begin)
        except be.ClientError as error:
            if error_code(error) not in ELSEWHERE:
                raise
        self._botocore.get(key, etag, part, sink, begin)

    def _get_call(self, key: str, etag: str, at: int, end: int, *, whole: bool) -> Call:
        arguments = get_arguments(self._checksums, etag, at, end, whole=whole)
        headers = [*self._common["GetObject"], *self._codec.headers("GetObject", arguments)]
        headers.append(("accept-encoding", "identity"))
        return Call("GetObject", self._path(key), Span(key), headers)

    def _path(self, key: str) -> str:
        return self._to.path + (key if _PLAIN.fullmatch(key) else quote(key, safe="/~"))

    # A call and its attempts

    def _start(self, call: Call) -> Future[Any]:
        """Queue a call. All that follows runs in the thread of the loop."""
        self._waiting.append(call)
        if not self._connections.do(self._send_waiting):
            with suppress(ValueError):  # the loop has ended the call already
                self._waiting.remove(call)
                call.future.set_exception(ClosedError())
        return call.future

    def _send_waiting(self) -> None:
        """Send as many waiting calls as the gate admits. After ``close`` all are sent, and fail."""
        if self._is_sending:  # called by a call that failed before it was sent
            return
        self._is_sending = True
        try:
            while self._waiting and (self._gate.is_open or self._connections.is_closed):
                self._gate.enter()
                self._attempt(self._waiting.popleft())
        finally:
            self._is_sending = False
        if self._waiting and not self._is_paused and not self._gate.is_full:
            self._is_paused = True
            self._connections.later(self._gate.pause, self._go_on)

    def _go_on(self) -> None:
        self._is_paused = False
        self._send_waiting()

    def _finish(
        self, call: Call, exchange: Exchange | None, error: BaseException | None = None
    ) -> None:
        """Give the future of a call its result or error. The bytes of its body are released at
        once, before Python collects the call."""
        self._gate.leave(call.moved)
        if call.flow is None and error is None:
            call.span.reach(call.moved)
        elif call.flow is None:
            call.span.drop()
        elsewhere, call.elsewhere, call.body, call.read = call.elsewhere, None, b"", None
        is_elsewhere = isinstance(error, be.ClientError) and error_code(error) in ELSEWHERE
        if error is None:
            result = (call.result, bytes(exchange.body)) if call.keeps and exchange else call.result
            settle(call.future, lambda: result)
        elif elsewhere and is_elsewhere:
            unexpected = error_of(
                lambda: elsewhere().add_done_callback(
                    lambda other: settle(call.future, other.result)
                )
            )
            if unexpected:
                call.future.set_exception(unexpected)
        else:
            call.future.set_exception(error)
            if is_fatal(error) and not is_elsewhere:  # all waiting calls would meet it
                while self._waiting:
                    self._waiting.popleft().future.set_exception(error)
        self._send_waiting()

    def _attempt(self, call: Call) -> None:
        call.attempt += 1
        if call.attempt > 1:
            METER.repeat()
        if error := error_of(lambda: self._send(call)):
            self._finish(call, None, error)

    def _send(self, call: Call) -> None:
        if self._connections.is_closed:
            raise ClosedError
        if call.prepare:
            prepare, call.prepare = call.prepare, None
            prepare()
        headers = call.headers
        if call.method == "PUT":
            headers = [*headers, ("content-length", str(len(call.body)))]
        exchange = Exchange(
            self._signer.head(call.method, call.path, headers, call.sha256),
            call.body,
            lambda status, _: self._accept(call, exchange, status),
            lambda error: self._ended(call, exchange, error),
            call.span.reach,
        )
        self._connections.send(exchange)

    def _accept(
        self, call: Call, exchange: Exchange, status: int
    ) -> Callable[[bytes], None] | None:
        if status >= 300:
            return None
        if call.flow is not None:
            call.accepted = True
            call.flow.begin(exchange)
            return call.flow.put
        headers = exchange.headers
        if call.read is not None:
            request_id = headers.get("x-amz-request-id", headers.get("x-amzn-requestid", ""))
            call.result = call.read(self._codec.answer(call.operation, headers), request_id)

        def keep(block: bytes) -> None:
            exchange.body += block
            if len(exchange.body) > call.moved:
                raise ReplacedError  # longer than listed: not kept in memory

        return keep if call.keeps and "content-length" not in headers else None

    def _ended(self, call: Call, exchange: Exchange, error: BaseException | None) -> None:
        """Called when an attempt has ended. The call ends too, or is tried again."""
        unexpected = error_of(lambda: self._conclude(call, exchange, error))
        if unexpected and not call.future.done():
            self._finish(call, None, unexpected)

    def _conclude(self, call: Call, exchange: Exchange, error: BaseException | None) -> None:
        if error is None and exchange.status >= 300:
            body = bytes(exchange.body)
            error = self._codec.error(call.operation, exchange.status, exchange.headers, body)
            if call.operation == "GetObject" and is_replaced(error):
                error = ReplacedError()
        if error is None:
            self._finish(call, exchange)
        elif (delay := self._delay(call, exchange, error)) is None:
            begun = exchange.status in (200, 206) and not call.accepted
            if begun and isinstance(error, be.HTTPClientError):
                error = BrokenOffError(error=type(error).__name__)
            self._finish(call, None, error)
        elif delay:
            self._connections.later(delay, lambda: self._attempt(call))
        else:
            self._attempt(call)

    def _delay(self, call: Call, exchange: Exchange, error: BaseException) -> float | None:
        """Seconds until the call is tried again, or None when it is not."""
        if call.accepted or call.attempt >= MAX_ATTEMPTS:
            return None
        if isinstance(error, be.ClientError) and error_code(error) in DAMAGED:
            call.damaged += 1
            return None if call.damaged >= DAMAGED_ATTEMPTS else 0.0
        if isinstance(error, OddAnswerError):
            call.odd += 1
            return None if call.odd >= ODD_ATTEMPTS else self._gate.back_off(call.attempt)
        if not may_pass(error):
            return None
        asked = retry_after(error)
        if is_throttled(error):
            return self._gate.slow_down(asked)
        if exchange.reused and call.attempt == 1 and not isinstance(error, be.ClientError):
            return 0.0  # the server had closed an idle connection
        return max(self._gate.back_off(call.attempt), asked)
