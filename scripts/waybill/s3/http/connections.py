"""HTTP connections to one server, carried by an event loop in a thread of its own: kept and used
again, and given up when the server stays silent."""

from __future__ import annotations

import asyncio
import math
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as be
import httptools

from waybill.system.futures import error_of

WATCH_SECONDS = 0.5  # how often exchanges are looked at
LOOK_SECONDS = 0.05  # a connection that was idle for longer is checked before it is used
IDLE_SECONDS = 8.0  # S3 closes a connection that has been idle for longer
CLOSE_SECONDS = 5.0  # how long ``close`` waits for the thread, which may hang in a file system
PIECE_BYTES = 256 << 10  # how much of a request's body is handed to the system at one time
FAMILY_SECONDS = 0.25  # before another address of the server is tried as well (RFC 8305)


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    ``head`` is the request up to the empty line before its ``payload``. ``on_answer`` gets status
    and headers (names in lower case). It returns the function that takes the blocks of the body, or
    None to have them kept in ``body``. ``on_end`` gets the error, or None. All are called in the
    thread of the loop and must not wait there. When ``on_answer`` or its function raises, the
    exchange ends with that error.
    """

    head: bytes
    payload: bytes
    on_answer: Callable[[int, dict[str, str]], Callable[[bytes], None] | None]
    on_end: Callable[[BaseException | None], None]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    sink: Callable[[bytes], None] | None = None
    channel: _Channel | None = None
    error: BaseException | None = None
    seen: float = 0.0  # when something last moved, seconds of the monotonic clock
    reused: bool = False  # the connection had carried another exchange before


class ClosedError(be.BotoCoreError):
    """The connections were closed before the exchange had ended."""

    fmt = "the job has ended"


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
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._tls = _tls(ca_file, self._url) if parts.scheme == "https" else None
        self._idle: deque[_Channel] = deque()
        self._open: set[_Channel] = set()
        self._to_do: deque[Callable[[], object]] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._delayed: set[Callable[[], object]] = set()
        self._woken = self._closed = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections; exchanges under way end in an error."""
        with self._lock:
            first, self._closed = not self._closed, True
        if first:
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(CLOSE_SECONDS)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def do(self, work: Callable[[], object]) -> bool:
        """Have work done soon in the thread of the loop; False when the connections are closed."""
        with self._lock:
            if self._closed:
                return False
            self._to_do.append(work)
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._do_all)
            return True

    def give_up(self, exchange: Exchange) -> None:
        """Abort an exchange whose answer has begun; it ends with an error."""
        self.do(lambda: exchange.channel and exchange.channel.abort())

    def go_on(self, exchange: Exchange) -> None:
        """Go on reading an answer that was held."""
        self.do(lambda: exchange.channel and exchange.channel.go_on())

    # In the thread of the loop

    def send(self, exchange: Exchange) -> None:
        """Begin an exchange. Its ``on_end`` is called when it has ended or failed."""
        if self._closed:
            exchange.on_end(ClosedError())
        elif channel := self._kept():
            channel.begin(exchange)
        else:
            task = self._loop.create_task(self._connect(exchange))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Have work done after some seconds, or earlier when the connections are closed."""

        def due() -> None:
            if due in self._delayed:  # once
                self._delayed.remove(due)
                work()

        self._delayed.add(due)
        self._loop.call_later(seconds, due)

    def _run(self) -> None:
        self._loop.call_soon(self._watch)
        self._loop.run_forever()
        self._loop.run_until_complete(self._wind_up())
        self._loop.close()

    async def _wind_up(self) -> None:
        """End the exchanges that have not begun, and the calls that wait to be tried again."""
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for due in list(self._delayed):
            due()
        self._do_all()
        await self._loop.shutdown_default_executor()

    def _stop(self) -> None:
        for channel in list(self._open):
            channel.abort()
        self._loop.call_later(0, self._loop.stop)  # after all channels have reported their end

    def _do_all(self) -> None:
        self._woken = False
        while self._to_do:
            self._to_do.popleft()()

    def _kept(self) -> _Channel | None:
        """A connection that is open and idle."""
        while self._idle:
            channel = self._idle.pop()  # the last used is the likeliest to be open
            idle = time.monotonic() - channel.idle_since
            if idle < LOOK_SECONDS or (idle < IDLE_SECONDS and channel.is_silent):
                return channel
            channel.abort()
        return None

    async def _connect(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, channel = await self._loop.create_connection(
                    lambda: _Channel(self),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    happy_eyeballs_delay=FAMILY_SECONDS,
                )
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the answer
            exchange.on_end(self._not_connected(error))
        else:
            if self._closed:
                channel.abort()
                return exchange.on_end(ClosedError())
            channel.begin(exchange)

    def _not_connected(self, error: BaseException) -> BaseException:
        """The reason why there is no connection, as an error of botocore."""
        if isinstance(error, asyncio.CancelledError):
            return ClosedError()
        if isinstance(error, ssl.SSLError):
            return be.SSLError(endpoint_url=self._url, error=error)
        if isinstance(error, TimeoutError):
            return be.ConnectTimeoutError(endpoint_url=self._url)
        if isinstance(error, OSError):
            return be.EndpointConnectionError(endpoint_url=self._url, error=error)
        return error

    def opened(self, channel: _Channel) -> None:
        """Note that a connection is open."""
        self._open.add(channel)

    def lost(self, channel: _Channel) -> None:
        """Note that a connection is closed."""
        self._open.discard(channel)
        if channel in self._idle:
            self._idle.remove(channel)

    def free(self, channel: _Channel) -> None:
        """Note that a connection can carry another exchange."""
        self._idle.append(channel)

    def closed_early(self) -> BaseException:
        """The error for a connection that ended during an exchange, as botocore has it."""
        return ClosedError() if self._closed else be.ConnectionClosedError(endpoint_url=self._url)

    def _watch(self) -> None:
        """End the exchanges in which nothing has moved for too long."""
        limit = time.monotonic() - self._timeout
        for channel in list(self._open):
            exchange = channel.exchange
            if exchange is not None and exchange.seen < limit:
                exchange.error = be.ReadTimeoutError(endpoint_url=self._url)
                channel.abort()
        self._loop.call_later(min(WATCH_SECONDS, self._timeout / 4), self._watch)


class _Channel(asyncio.Protocol):
    """One connection, which carries one exchange at a time."""

    def __init__(self, owner: Connections) -> None:
        self._owner = owner
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self._used = self._is_lost = False
        self._rest = memoryview(b"")  # the payload that is not yet handed to the system
        self._may_write = True
        self._is_held = False
        self._is_whole = False  # whether the answer is complete
        self._keeps = False  # whether the server keeps the connection
        self._poll = select.poll()

    # What the owner asks for

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to read from an idle connection. An answer that comes before its
        request belongs to another request; the end of the connection can be read, too."""
        return not self._poll.poll(0)

    def begin(self, exchange: Exchange) -> None:
        """Carry an exchange."""
        if self._is_lost:
            return exchange.on_end(self._owner.closed_early())
        self.exchange, exchange.channel = exchange, self
        exchange.reused, self._used = self._used, True
        exchange.seen = time.monotonic()
        self._is_whole = False
        self._parser = httptools.HttpResponseParser(self)
        if len(exchange.payload) <= PIECE_BYTES:
            self._transport.write(exchange.head + exchange.payload)
        else:
            self._transport.write(exchange.head)
            self._rest = memoryview(exchange.payload)
            self._write_on()

    def abort(self) -> None:
        """Close the connection at once; the exchange that it carries ends with an error."""
        self._transport.abort()

    def hold(self) -> None:
        """Take no more of the answer until ``go_on``."""
        if self.exchange is not None:
            self.exchange.seen = math.inf
            self._is_held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Take more of the answer again."""
        if self.exchange is not None and self._is_held:
            self.exchange.seen = time.monotonic()
            self._is_held = False
            self._transport.resume_reading()

    # What the event loop tells

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._owner.opened(self)
        own = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._poll.register(own.fileno(), select.POLLIN)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        if self.exchange is not None:
            self.exchange.seen = time.monotonic()
            self._write_on()

    def _write_on(self) -> None:
        while self._rest and self._may_write:
            piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
            self._transport.write(piece)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes without a request
            return self.abort()
        exchange.seen = time.monotonic()
        try:
            self._parser.feed_data(data)  # a callback may call ``hold``
        except httptools.HttpParserError:
            if not self._is_whole:
                return self.abort()
            self._keeps = False  # there are bytes after the answer
        if exchange.error is not None:
            self.abort()
        elif self._is_whole:
            self._end(exchange, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._owner.lost(self)
        exchange = self.exchange
        if exchange is None:
            return
        # A server may answer with an error and close before it has read the whole body.
        told = exchange.status >= 400 or (exchange.status and self._ends_with_connection(exchange))
        lost = None if told else self._owner.closed_early()
        self._end(exchange, exchange.error or lost)

    @staticmethod
    def _ends_with_connection(exchange: Exchange) -> bool:
        """Whether an answer has no length, so that it ends with the connection."""
        return not exchange.headers.keys() & {"content-length", "transfer-encoding"}

    def _end(self, exchange: Exchange, error: BaseException | None) -> None:
        self.go_on()
        self.exchange = exchange.channel = None
        exchange.payload = b""
        on_end, exchange.on_end, exchange.on_answer = exchange.on_end, _nobody, _nobody
        exchange.sink = None
        unsent = self._rest or self._transport.get_write_buffer_size()
        keep = self._is_whole and self._keeps and not unsent
        self._rest = memoryview(b"")
        if keep and not self._transport.is_closing():
            self.idle_since = time.monotonic()
            self._owner.free(self)
        else:
            self.abort()
        on_end(error)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._is_whole:
            raise ValueError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.exchange is not None:
            self.exchange.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        exchange, status = self.exchange, self._parser.get_status_code()
        if exchange is None:
            return
        if status < 200:  # an interim status, not the answer
            exchange.headers.clear()
            return
        exchange.status = status
        if status < 300 and (self._rest or self._transport.get_write_buffer_size()):
            exchange.error = self._owner.closed_early()  # the request is not sent yet
            return

        def accept() -> None:
            exchange.sink = exchange.on_answer(status, exchange.headers)

        exchange.error = error_of(accept)

    def on_body(self, block: bytes) -> None:
        exchange = self.exchange
        if exchange is None or exchange.error is not None:
            return
        sink = exchange.sink
        if sink is None:
            exchange.body += block
        else:
            exchange.error = error_of(lambda: sink(block))

    def on_message_complete(self) -> None:
        self._is_whole = self.exchange is not None and self.exchange.status > 0
        self._keeps = self._parser.should_keep_alive()  # the parser knows this only here


def _tls(ca_file: str | None, url: str) -> ssl.SSLContext:
    """A context as strict as botocore's: certificates need not pass the strict checks of X.509, so
    that those of a private authority are accepted. Raises botocore's SSLError when the file of
    certificates cannot be read."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise be.SSLError(endpoint_url=url, error=error) from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _nobody(*_: object) -> None:
    """The callback of an exchange that has ended; it does nothing."""
