"""The engine on the AWS Common Runtime (awscrt).

It sends the requests that botocore would send, to the address and with the signature that botocore
would use, without building each of them out of the service model: that is what most of the CPU
time of a small object goes to. What it does not know (a proxy, a directory bucket, an access point
of several regions) is left to botocore's engine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import awscrt.http as http
import botocore.exceptions as be
import botocore.session
from awscrt import auth

from waybill.boto_engine import BotoEngine
from waybill.crt_http import Connections, Exchange, body_stream
from waybill.crt_target import target
from waybill.crt_words import Headers, Words
from waybill.engine import (
    DAMAGED_ATTEMPTS,
    Answer,
    BrokenOffError,
    CutError,
    Pace,
    ReplacedError,
    Stored,
    Take,
    base64_sha256,
    check_answer,
    get_through,
    is_replaced,
    range_or_checksums,
)
from waybill.futures import error_of, settle
from waybill.gate import Gate
from waybill.parts import Part
from waybill.s3 import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_ATTEMPTS,
    common_arguments,
    write_arguments,
)
from waybill.s3_errors import DAMAGED, ELSEWHERE, THROTTLED, error_code

if TYPE_CHECKING:
    from waybill.config import Transfer

log = logging.getLogger(__name__)

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# Answers below 500 that may be better the next time (S3 API, "Error responses").
_PASSING = {"RequestTimeout"}

Result = TypeVar("Result")


class Call:
    """One request until it has succeeded or failed for good. ``accept`` is told the headers of a
    good answer and returns what takes its body; without it the body is kept."""

    def __init__(
        self,
        operation: str,
        path: str,
        headers: Headers,
        body: bytes = b"",
        sha256: str = EMPTY_SHA256,
        accept: Callable[[dict[str, str]], Callable[[bytes], None]] | None = None,
    ) -> None:
        self.operation, self.path, self.headers = operation, path, headers
        self.method = "GET" if operation == "GetObject" else "PUT"
        self.body, self.sha256, self.accept = body, sha256, accept
        self.future: Future[Exchange] = Future()
        self.attempt = self.damaged = 0
        self.accepted = False
        self.moved = len(body)  # bytes


class CrtEngine:
    """The engine on awscrt's HTTP connections and signer; ``client`` is botocore's, made from
    ``session``.

    Raises UnsupportedError for what only botocore can do, and botocore's error for missing
    credentials.
    """

    def __init__(self, transfer: Transfer, session: botocore.session.Session, client: Any) -> None:
        self.client = client
        self._transfer = transfer
        self._to = target(transfer, session, client)
        self._words = words = Words(client)
        self._write = words.headers("PutObject", write_arguments(transfer))
        common = common_arguments(transfer)
        self._common = {name: words.headers(name, common) for name in ("UploadPart", "GetObject")}
        self._pace = Pace(transfer.max_bandwidth)
        self._gate = Gate(transfer.max_concurrency)
        self._is_elsewhere = False
        self._keys: tuple[str, ...] = ()
        self._provider: auth.AwsCredentialsProvider | None = None
        self._connections = Connections(
            self._to.url,
            timeout=transfer.timeout,
            connect_timeout=min(CONNECT_TIMEOUT_SECONDS, transfer.timeout),
            ca_file=self._to.ca_file,
        )

    @property
    def is_busy(self) -> bool:
        return self._gate.is_full

    def close(self) -> None:
        self._connections.close()

    @cached_property
    def _botocore(self) -> BotoEngine:
        """For a bucket that turns out to be in another region: botocore follows it there."""
        log.info("%s is in another region; botocore goes there", self._transfer.url)
        self._is_elsewhere = True
        return BotoEngine(self._transfer, self.client)

    def put_object(
        self, key: str, body: bytes, sha256: str, metadata: dict[str, str], condition: dict
    ) -> Future[Stored]:
        if self._is_elsewhere:
            return self._botocore.put_object(key, body, sha256, metadata, condition)
        headers = [
            *self._write,
            *self._words.headers("PutObject", condition),
            ("x-amz-checksum-sha256", base64_sha256(sha256)),
            *((f"x-amz-meta-{name}", value) for name, value in metadata.items()),
        ]
        self._pace.spend(len(body))
        call = self._start(Call("PutObject", self._path(key), headers, body, sha256))

        def stored(exchange: Exchange) -> Stored:
            version = exchange.headers.get("x-amz-version-id", "")
            etag = exchange.headers["etag"].strip('"')
            return Stored(etag, "" if version == "null" else version)

        def elsewhere() -> Future[Stored]:
            return self._botocore.put_object(key, body, sha256, metadata, condition)

        return _then(call.future, stored, elsewhere)

    def put_part(self, key: str, upload_id: str, number: int, body: bytes, sha256: str) -> str:
        if self._is_elsewhere:
            return self._botocore.put_part(key, upload_id, number, body, sha256)
        path = f"{self._path(key)}?partNumber={number}&uploadId={quote(upload_id, safe='-._~')}"
        headers = [*self._common["UploadPart"], ("x-amz-checksum-sha256", base64_sha256(sha256))]
        self._pace.spend(len(body))
        call = self._start(Call("UploadPart", path, headers, body, sha256))
        try:
            return call.future.result().headers["etag"].strip('"')
        except be.ClientError as error:
            if error_code(error) not in ELSEWHERE:
                raise
        return self._botocore.put_part(key, upload_id, number, body, sha256)

    def get_object(self, key: str, etag: str, size: int) -> Future[tuple[Answer, bytes]]:
        if self._is_elsewhere:
            return self._botocore.get_object(key, etag, size)
        self._pace.spend(size)
        call = self._get_call(key, etag, 0, size, whole=True)
        call.moved = size
        self._start(call)

        def got(exchange: Exchange) -> tuple[Answer, bytes]:
            answer = self._words.answer("GetObject", exchange.headers)
            check_answer(answer, etag, 0, whole=True)
            return answer, bytes(exchange.body)

        def elsewhere() -> Future[tuple[Answer, bytes]]:
            return self._botocore.get_object(key, etag, size)

        return _then(call.future, got, elsewhere)

    def get(
        self,
        key: str,
        etag: str,
        part: Part,
        sink: Take,
        begin: Callable[[Answer], None] | None = None,
    ) -> None:
        def fetch(at: int, end: int, begin: Callable[[Answer], None] | None, take: Take) -> None:
            whole = begin is not None
            call = self._get_call(key, etag, at, end, whole=whole)

            def accept(headers: dict[str, str]) -> Callable[[bytes], None]:
                answer = self._words.answer("GetObject", headers)
                check_answer(answer, etag, at, whole=whole)
                if begin is not None:
                    begin(answer)
                return accepted

            def accepted(block: bytes) -> None:
                nonlocal at
                block = bytes(block)
                self._pace.spend(len(block))
                take(at, block)
                at += len(block)
                call.moved += len(block)

            call.accept = accept
            try:
                self._start(call).future.result()
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
        arguments = {"IfMatch": f'"{etag}"', **range_or_checksums(at, end, whole=whole)}
        headers = [*self._common["GetObject"], *self._words.headers("GetObject", arguments)]
        headers.append(("accept-encoding", "identity"))
        return Call("GetObject", self._path(key), headers)

    def _path(self, key: str) -> str:
        return self._to.path + quote(key, safe="/~")

    # A call and its attempts

    def _start(self, call: Call) -> Call:
        """Send a call when it is its turn."""
        self._gate.enter()
        self._attempt(call)
        return call

    def _finish(
        self, call: Call, exchange: Exchange | None, error: BaseException | None = None
    ) -> None:
        """Tell whoever waits for a call what became of it. Call and exchange know each other, and
        the bytes of a body must not wait until that is found out."""
        self._gate.leave(call.moved)
        call.body = b""
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(exchange)

    def _attempt(self, call: Call) -> None:
        call.attempt += 1
        if error := error_of(lambda: self._send(call)):
            self._finish(call, None, error)

    def _send(self, call: Call) -> None:
        stream = body_stream(call.body)
        exchange = Exchange(
            self._signed(call, stream),
            stream,
            lambda status, headers: self._accept(call, status, headers),
            lambda error: self._ended(call, exchange, error),
        )
        self._connections.send(exchange)

    def _signed(self, call: Call, stream: Any) -> http.HttpRequest:
        """The request of a call, signed just now. Raises botocore's errors about credentials."""
        headers = http.HttpHeaders([("host", self._to.host), *call.headers])
        if call.method == "PUT":
            headers.add("content-length", str(len(call.body)))
        request = http.HttpRequest(call.method, call.path, headers, stream if call.body else None)
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=self._credentials(),
            region=self._to.region,
            service=self._to.service,
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=call.sha256,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        return auth.aws_sign_request(request, config).result()

    def _credentials(self) -> auth.AwsCredentialsProvider:
        """What botocore has at this moment: it renews them when they are about to expire."""
        now = self._to.credentials.get_frozen_credentials()
        keys = (now.access_key, now.secret_key, now.token or "")
        if self._provider is None or keys != self._keys:
            self._provider = auth.AwsCredentialsProvider.new_static(keys[0], keys[1], now.token)
            self._keys = keys
        return self._provider

    def _accept(
        self, call: Call, status: int, headers: dict[str, str]
    ) -> Callable[[bytes], None] | None:
        if status >= 300 or call.accept is None:
            return None
        call.accepted = True
        return call.accept(headers)

    def _ended(self, call: Call, exchange: Exchange, error: BaseException | None) -> None:
        """An attempt has ended: so has the call, or it is tried again."""
        unexpected = error_of(lambda: self._conclude(call, exchange, error))
        if unexpected and not call.future.done():
            self._finish(call, None, unexpected)

    def _conclude(self, call: Call, exchange: Exchange, error: BaseException | None) -> None:
        if error is None and exchange.status >= 300:
            body = bytes(exchange.body)
            error = self._words.error(call.operation, exchange.status, exchange.headers, body)
            if call.operation == "GetObject" and is_replaced(error):
                error = ReplacedError()
        if error is None:
            self._finish(call, exchange)
        elif (delay := self._delay(call, exchange, error)) is None:
            cut = exchange.status in (200, 206) and not call.accepted
            error = BrokenOffError(error=type(error).__name__) if cut else error
            self._finish(call, None, error)
        elif delay:
            timer = threading.Timer(delay, self._attempt, (call,))
            timer.daemon = True
            timer.start()
        else:
            self._attempt(call)

    def _delay(self, call: Call, exchange: Exchange, error: BaseException) -> float | None:
        """Seconds until the call is tried again, or None when it is not."""
        if call.accepted or call.attempt >= MAX_ATTEMPTS:
            return None
        if isinstance(error, be.ClientError):
            code = error_code(error)
            if code in DAMAGED:
                call.damaged += 1
                return None if call.damaged >= DAMAGED_ATTEMPTS else 0.0
            if code in THROTTLED:
                return self._gate.slow_down()
            if exchange.status < 500 and code not in _PASSING:
                return None
        elif not isinstance(error, be.HTTPClientError):
            return None
        elif exchange.reused and call.attempt == 1:
            return 0.0  # the server has closed a connection that nobody used
        return self._gate.back_off(call.attempt)


def _then(
    future: Future[Exchange],
    result: Callable[[Exchange], Result],
    elsewhere: Callable[[], Future[Result]],
) -> Future[Result]:
    """The result of a call; of one whose bucket is in another region that of ``elsewhere``."""
    outcome: Future[Result] = Future()

    def ended(done: Future[Exchange]) -> None:  # the body is in ``elsewhere``: no circle here
        error = done.exception()
        code = error_code(error) if isinstance(error, be.ClientError) else ""
        if code in ELSEWHERE:
            elsewhere().add_done_callback(lambda other: settle(outcome, other.result))
        else:
            settle(outcome, lambda: result(done.result()))

    future.add_done_callback(ended)
    return outcome
