"""HTTP over the AWS Common Runtime: connections that are kept and used again, and exchanges (one
request and its answer) that a silent server does not hold for ever."""

from __future__ import annotations

import io
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import awscrt.http as http
import awscrt.io as crt_io
import botocore.exceptions as be
from awscrt.exceptions import AwsCrtError

from waybill.futures import error_of

EVENT_LOOPS = 1  # threads that carry bytes; a second one costs more in turns than it carries
WATCH_SECONDS = 0.5  # how often exchanges are looked at
IDLE_SECONDS = 8.0  # S3 closes a connection that has been idle for longer
WATCHED_BODY_BYTES = 1 << 20  # from here on, progress within a body is noted


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    ``on_answer`` is told status and headers (names in small letters) and returns what takes the
    blocks of the body, or None when the body is to be kept in ``body``. ``on_end`` is told the
    error, or None. Both are called in a thread of the runtime, as is what takes the blocks; when
    one of them raises, that error is the exchange's.
    """

    request: http.HttpRequest | None
    stream: io.BytesIO | None  # the body of the request
    on_answer: Callable[[int, dict[str, str]], Callable[[bytes], None] | None]
    on_end: Callable[[BaseException | None], None]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    sink: Callable[[bytes], None] | None = None
    connection: http.HttpClientConnection | None = None
    error: BaseException | None = None
    seen: float = 0.0  # when something last moved, seconds of the monotonic clock
    silent: bool = False
    reused: bool = False  # the connection had carried another exchange before


class _Body(io.BytesIO):
    """The body of a request; notes that it is being read."""

    exchange: Exchange | None = None

    def readinto(self, buffer: Any) -> int:
        if self.exchange is not None:
            self.exchange.seen = time.monotonic()
        return super().readinto(buffer)

    readinto1 = readinto


class Connections:
    """Sends exchanges to one server. ``url`` is its scheme, host and port, ``timeout`` and
    ``connect_timeout`` are in seconds, ``ca_file`` names the certificates to trust."""

    def __init__(
        self, url: str, *, timeout: float, connect_timeout: float, ca_file: str | None
    ) -> None:
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._timeout = timeout
        loops = crt_io.EventLoopGroup(EVENT_LOOPS)
        self._bootstrap = crt_io.ClientBootstrap(loops, crt_io.DefaultHostResolver(loops))
        self._options = crt_io.SocketOptions()
        self._options.connect_timeout_ms = int(connect_timeout * 1000)
        self._options.keep_alive = True
        self._tls = None
        if parts.scheme == "https":
            tls = crt_io.TlsContextOptions()
            if ca_file:
                tls.override_default_trust_store_from_path(None, ca_file)
            self._tls = crt_io.ClientTlsContext(tls)
        self._idle: deque[tuple[float, http.HttpClientConnection]] = deque()
        self._exchanges: dict[int, Exchange] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Close all connections; exchanges under way end in an error."""
        self._closed.set()
        for exchange in list(self._exchanges.values()):
            _close(exchange)
        while self._idle:
            self._idle.pop()[1].close()

    def send(self, exchange: Exchange) -> None:
        """Begin an exchange; what becomes of it is told to ``on_end``."""
        while self._idle:
            try:
                since, connection = self._idle.pop()  # the last used is the likeliest to be open
            except IndexError:
                break
            if connection.is_open() and time.monotonic() - since < IDLE_SECONDS:
                exchange.reused = True
                return self._begin(exchange, connection)
            connection.close()
        tls = None
        if self._tls is not None:
            tls = self._tls.new_connection_options()
            tls.set_server_name(self._host)
        connecting = http.HttpClientConnection.new(
            self._host, self._port, self._bootstrap, self._options, tls
        )
        connecting.add_done_callback(lambda future: self._connected(exchange, future))

    def _connected(self, exchange: Exchange, future: Future[http.HttpClientConnection]) -> None:
        error = future.exception()
        if error is None:
            self._begin(exchange, future.result())
        else:
            exchange.on_end(self._named(error, connecting=True))

    def _begin(self, exchange: Exchange, connection: http.HttpClientConnection) -> None:
        exchange.connection, exchange.seen = connection, time.monotonic()
        if isinstance(exchange.stream, _Body):
            exchange.stream.exchange = exchange
        self._exchanges[id(exchange)] = exchange

        def answered(status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
            exchange.seen = time.monotonic()
            exchange.status = status_code
            exchange.headers = {name.lower(): value for name, value in headers}
            _guarded(exchange, lambda: _set_sink(exchange))

        def came(chunk: bytes, **_: Any) -> None:
            exchange.seen = time.monotonic()
            if exchange.error is not None:
                return
            if exchange.sink is None:
                exchange.body += chunk
            else:
                exchange.seen = math.inf  # it may be held up here, to keep to a bandwidth
                _guarded(exchange, lambda: exchange.sink(chunk))
                exchange.seen = time.monotonic()

        try:
            stream = connection.request(exchange.request, on_response=answered, on_body=came)
            stream.completion_future.add_done_callback(
                lambda future: self._ended(exchange, connection, future)
            )
            stream.activate()
        except (AwsCrtError, RuntimeError) as error:  # closed by the server just now
            self._exchanges.pop(id(exchange), None)
            exchange.on_end(self._named(error))

    def _ended(
        self, exchange: Exchange, connection: http.HttpClientConnection, future: Future[int]
    ) -> None:
        self._exchanges.pop(id(exchange), None)
        exchange.request = exchange.stream = exchange.connection = None  # and all their bytes
        on_end, exchange.on_end, exchange.on_answer = exchange.on_end, _nobody, _nobody
        failure = future.exception()
        kept = failure is None and exchange.error is None and not self._closed.is_set()
        if kept and exchange.headers.get("connection", "").lower() != "close":
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()
        if exchange.error is not None:
            on_end(exchange.error)
        elif exchange.silent:
            on_end(be.ReadTimeoutError(endpoint_url=self._url))
        # A server may tell what is wrong and close before it has read all of the body.
        elif failure is not None and exchange.status < 400:
            on_end(self._named(failure))
        else:
            on_end(None)

    def _watch(self) -> None:
        """End the exchanges in which nothing has moved for too long."""
        while not self._closed.wait(min(WATCH_SECONDS, self._timeout / 4)):
            limit = time.monotonic() - self._timeout
            for exchange in list(self._exchanges.values()):
                if exchange.seen < limit:
                    exchange.silent = True
                    _close(exchange)

    def _named(self, error: BaseException, *, connecting: bool = False) -> BaseException:
        """An error of the runtime in botocore's words."""
        name = getattr(error, "name", type(error).__name__)
        if "TLS" in name:
            return be.SSLError(endpoint_url=self._url, error=name)
        if not connecting:
            return be.ConnectionClosedError(endpoint_url=self._url)
        if "TIMEOUT" in name:
            return be.ConnectTimeoutError(endpoint_url=self._url)
        return be.EndpointConnectionError(endpoint_url=self._url)


def body_stream(data: bytes) -> io.BytesIO:
    """The body of a request; that of a large one, which takes its time, notes its progress."""
    return _Body(data) if len(data) >= WATCHED_BODY_BYTES else io.BytesIO(data)


def _nobody(*_: Any) -> None:
    """Whom an exchange that has ended tells."""


def _set_sink(exchange: Exchange) -> None:
    exchange.sink = exchange.on_answer(exchange.status, exchange.headers)


def _guarded(exchange: Exchange, work: Callable[[], None]) -> None:
    """Do work for the exchange; an error in it ends the exchange."""
    if error := error_of(work):
        exchange.error = error
        _close(exchange)


def _close(exchange: Exchange) -> None:
    connection = exchange.connection  # which its end takes away, in another thread
    if connection is not None:
        connection.close()
