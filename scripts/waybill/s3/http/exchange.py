"""One request to a server and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import botocore.exceptions as be


class Carrier(Protocol):
    """The connection that carries an exchange."""

    def abort(self) -> None:
        """Close the connection at once; the exchange ends with an error."""

    def hold(self) -> None:
        """Take no more of the answer until ``go_on``."""

    def go_on(self) -> None:
        """Take more of the answer again."""


def nobody(*_: object) -> None:
    """A callback that does nothing."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    ``head`` is the request up to the empty line before its ``payload``. ``on_answer`` gets status
    and headers (names in lower case). It returns the function that takes the blocks of the body, or
    None to have them kept in ``body``. ``on_end`` gets the error, or None. ``on_moved`` gets from
    time to time how many bytes have moved, of ``payload`` or else of ``body``. All are called in
    the thread of the loop and must not wait there. When ``on_answer`` or its function raises, the
    exchange ends with that error.
    """

    head: bytes
    payload: bytes
    on_answer: Callable[[int, dict[str, str]], Callable[[bytes], None] | None]
    on_end: Callable[[BaseException | None], None]
    on_moved: Callable[[int], None] = nobody
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    sink: Callable[[bytes], None] | None = None
    channel: Carrier | None = None
    error: BaseException | None = None
    seen: float = 0.0  # when something last moved, seconds of the monotonic clock
    reused: bool = False  # the connection had carried another exchange before


class ClosedError(be.BotoCoreError):
    """The connections were closed before the exchange had ended."""

    fmt = "the job has ended"
