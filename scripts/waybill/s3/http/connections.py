"""HTTP connections to one server, carried by an event loop in a thread of its own: kept and used
again, and given up when the server stays silent."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import botocore.exceptions as be

from waybill.s3.http.channel import Channel
from waybill.s3.http.exchange import ClosedError, Exchange
from waybill.system.pace import Pace

WATCH_SECONDS = 0.5  # how often exchanges are looked at
LOOK_SECONDS = 0.05  # a connection that was idle for longer is checked before it is used
IDLE_SECONDS = 8.0  # S3 closes a connection that has been idle for longer
CLOSE_SECONDS = 5.0  # how long ``close`` waits for the thread, which may hang in a file system
FAMILY_SECONDS = 0.25  # before another address of the server is tried as well (RFC 8305)


class Connections:
    """Sends exchanges to one server. ``url`` is its scheme, host and port, ``timeout`` and
    ``connect_timeout`` are in seconds, ``ca_file`` names the certificates to trust. With ``pace``
    the payloads are sent no faster than that."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        connect_timeout: float,
        ca_file: str | None,
        pace: Pace | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self.pace = pace if pace is not None and pace.is_limited else None
        self._tls = _tls(ca_file, self._url) if parts.scheme == "https" else None
        self._idle: deque[Channel] = deque()
        self._open: set[Channel] = set()
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

    def _kept(self) -> Channel | None:
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
                    lambda: Channel(self),
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

    def opened(self, channel: Channel) -> None:
        """Note that a connection is open."""
        self._open.add(channel)

    def lost(self, channel: Channel) -> None:
        """Note that a connection is closed."""
        self._open.discard(channel)
        if channel in self._idle:
            self._idle.remove(channel)

    def free(self, channel: Channel) -> None:
        """Note that a connection can carry another exchange."""
        self._idle.append(channel)

    def closed_early(self) -> BaseException:
        """The error for a connection that ended during an exchange, as botocore has it."""
        return ClosedError() if self._closed else be.ConnectionClosedError(endpoint_url=self._url)

    def _watch(self) -> None:
        """Tell the exchanges how far they are, and end those in which nothing has moved for too
        long."""
        limit = time.monotonic() - self._timeout
        for channel in list(self._open):
            channel.tell_moved()
            exchange = channel.exchange
            if exchange is not None and exchange.seen < limit:
                exchange.error = be.ReadTimeoutError(endpoint_url=self._url)
                channel.abort()
        self._loop.call_later(min(WATCH_SECONDS, self._timeout / 4), self._watch)


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
