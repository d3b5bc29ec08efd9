"""One connection to a server, which carries one exchange at a time."""

from __future__ import annotations

import asyncio
import fcntl
import math
import select
import socket
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import httptools

from waybill.s3.http.exchange import Exchange, nobody
from waybill.system.futures import error_of
from waybill.system.pace import Pace

PIECE_BYTES = 256 << 10  # how much of a request's body is handed to the system at one time


class Owner(Protocol):
    """Who has made a connection, and is told what becomes of it."""

    def opened(self, channel: Channel) -> None:
        """Note that a connection is open."""

    def lost(self, channel: Channel) -> None:
        """Note that a connection is closed."""

    def free(self, channel: Channel) -> None:
        """Note that a connection can carry another exchange."""

    def closed_early(self) -> BaseException:
        """The error for a connection that ended during an exchange."""
        ...

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Have work done after some seconds."""

    @property
    def pace(self) -> Pace | None:
        """How fast payloads may be sent; None when there is no limit."""
        ...


class Channel(asyncio.Protocol):
    """The connection, as its event loop and its owner see it."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self._used = self._is_lost = False
        self._rest = memoryview(b"")  # the payload that is not yet handed to the system
        self._may_write = True
        self._is_paced = False  # whether the next piece of the payload waits for its time
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
        if len(exchange.payload) <= PIECE_BYTES and self._owner.pace is None:
            self._transport.write(exchange.head + exchange.payload)
        else:
            self._transport.write(exchange.head)
            self._rest = memoryview(exchange.payload)
            self._write_on()

    def tell_moved(self) -> None:
        """Tell the exchange how far it is. What waits to be sent here, or in the system until the
        server has confirmed it, has not moved."""
        exchange = self.exchange
        if exchange is None or self._is_lost:
            return
        if not exchange.payload:
            moved = len(exchange.body) if exchange.status < 300 else 0
        else:
            waiting = self._transport.get_write_buffer_size() + _unconfirmed(self._number)
            moved = len(exchange.payload) - len(self._rest) - waiting
        exchange.on_moved(moved)

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
        self._number = own.fileno()
        if self._owner.pace is not None:  # else the system takes megabytes ahead of the reader
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_BYTES)
        self._poll.register(self._number, select.POLLIN)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        if self.exchange is not None:
            self.exchange.seen = time.monotonic()
            self._write_on()

    def _write_on(self) -> None:
        pace = self._owner.pace
        while self._rest and self._may_write and not self._is_paced:
            count = min(len(self._rest), PIECE_BYTES if pace is None else pace.piece)
            seconds = 0.0 if pace is None else pace.reserve(count)
            if seconds > 0 and (exchange := self.exchange) is not None:
                self._is_paced, exchange.seen = True, math.inf
                return self._owner.later(seconds, partial(self._write_paced, exchange, count))
            self._write(count)

    def _write_paced(self, exchange: Exchange, count: int) -> None:
        """Write the piece that has waited, unless its exchange has ended meanwhile."""
        if self.exchange is exchange and self._is_paced:
            self._is_paced, exchange.seen = False, time.monotonic()
            self._write(count)
            self._write_on()

    def _write(self, count: int) -> None:
        piece, self._rest = self._rest[:count], self._rest[count:]
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
        on_end, exchange.on_end, exchange.on_answer = exchange.on_end, nobody, nobody
        exchange.sink = None
        unsent = self._rest or self._transport.get_write_buffer_size()
        keep = self._is_whole and self._keeps and not unsent
        self._rest, self._is_paced = memoryview(b""), False
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


def _unconfirmed(descriptor: int) -> int:
    """The bytes that the system still holds of what was written to a connection (Linux: tcp(7),
    ``SIOCOUTQ``); 0 where it does not tell."""
    answer = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, answer)
    return int.from_bytes(answer, sys.byteorder)
