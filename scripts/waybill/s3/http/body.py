"""The body of an answer on its way from the event loop to the thread that waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Lock

from waybill.s3.http.connections import Connections
from waybill.s3.http.exchange import Exchange

MOST_BYTES = 4 << 20  # waiting bytes above which the connection is held


class Flow:
    """Hands the headers and the blocks of one answer to another thread, no faster than that thread
    takes them."""

    def __init__(self, connections: Connections) -> None:
        pace = connections.pace
        self._most = MOST_BYTES if pace is None else 2 * pace.piece
        self._connections = connections
        self._came: SimpleQueue[bytes | dict[str, str] | None] = SimpleQueue()
        self._waiting = 0  # bytes
        self._held = False
        self._lock = Lock()
        self._exchange: Exchange | None = None

    # In the thread of the loop

    def begin(self, exchange: Exchange) -> None:
        """Note that a good answer has begun."""
        self._exchange = exchange
        self._came.put(exchange.headers)

    def put(self, block: bytes) -> None:
        """Add a block of the body."""
        with self._lock:
            self._waiting += len(block)
            hold = self._waiting > self._most and not self._held
            self._held |= hold
        if hold and self._exchange is not None and self._exchange.channel is not None:
            self._exchange.channel.hold()
        self._came.put(block)

    def end(self) -> None:
        """Note that nothing more will come."""
        self._came.put(None)

    # In the thread that waits

    def headers(self) -> dict[str, str] | None:
        """The headers of the answer; None when there is no good one."""
        first = self._came.get()
        return first if isinstance(first, dict) else None

    def blocks(self) -> Iterator[bytes]:
        """The blocks of the body as they come."""
        while isinstance(block := self._came.get(), bytes):
            yield block
            with self._lock:
                self._waiting -= len(block)
                go_on = self._held and self._waiting <= self._most // 2
                self._held &= not go_on
            if go_on and self._exchange is not None:
                self._connections.go_on(self._exchange)

    def give_up(self) -> None:
        """Take no more of the answer; the exchange ends with an error."""
        if self._exchange is not None:
            self._connections.give_up(self._exchange)
