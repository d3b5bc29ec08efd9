"""How many requests are in flight at one time: more as long as that brings more, fewer when S3 asks
to slow down."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

START = 8  # requests in flight at first
REQUEST_BYTES = 64 << 10  # what a request is worth beside the bytes it carries
WINDOW_SECONDS = 0.1  # over which the rate is measured, at least
GAIN = 1.2  # a rate this much higher is worth twice the requests in flight; less may be noise
PROBE_WINDOWS = 20  # how long a limit that brought nothing more is kept before another try
SLOWEST_SECONDS = 20.0  # the longest pause before a request is tried again


class Gate:
    """Open to at most ``limit`` requests at one time, ``most`` at the highest; for one thread.

    The limit doubles as long as the rate (requests and bytes together) grows with it, goes back
    when it does not, and is tried again from time to time. When S3 answers SlowDown the limit is
    halved, and all requests wait together. ``clock`` gives seconds, and ``jitter`` stands in for
    ``random.uniform`` in tests.
    """

    def __init__(
        self,
        most: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.limit = min(START, most)
        self.in_flight = 0
        self._most = most
        self._clock, self._jitter = clock, jitter
        self._open_at = self._slowed_at = clock()
        self._slow_downs = 0
        # The window that is measured: its begin, the work done, how many requests have ended, and
        # whether the limit was reached.
        self._begun, self._work, self._ended, self._full = clock(), 0, 0, False
        self._best_rate, self._best_limit = 0.0, self.limit
        self._kept = 0
        self._turning = False  # the limit was changed in this window, whose rate tells of both

    @property
    def is_open(self) -> bool:
        """Whether one more request may be sent."""
        return not self.is_full and self._clock() >= self._open_at

    @property
    def is_full(self) -> bool:
        """Whether a request must end before one more may be sent."""
        return self.in_flight >= self.limit

    @property
    def pause(self) -> float:
        """Seconds that S3 has still to be left alone."""
        return max(0.0, self._open_at - self._clock())

    def enter(self) -> None:
        """A request is sent."""
        self.in_flight += 1

    def leave(self, count: int) -> None:
        """A request has ended that moved ``count`` bytes."""
        self._full |= self.is_full
        self.in_flight -= 1
        self._work += REQUEST_BYTES + count
        self._ended += 1
        now = self._clock()
        if now - self._begun >= WINDOW_SECONDS and self._ended >= self.limit:
            self._measure(now)

    def slow_down(self) -> float:
        """S3 asks for fewer requests: halve the limit and hold everything for a while, which grows
        as long as S3 keeps asking. What was in flight meanwhile counts once. Returns the seconds
        to wait."""
        now = self._clock()
        if now >= self._open_at:
            recent = now - self._slowed_at < 2 * SLOWEST_SECONDS
            self._slow_downs = self._slow_downs + 1 if recent else 1
            self._slowed_at = now
            self.limit = max(1, self.limit // 2)
            self._open_at = now + self.back_off(self._slow_downs)
            self._begun, self._work, self._ended, self._full = self._open_at, 0, 0, False
            self._best_rate, self._best_limit = 0.0, self.limit
            self._kept = 0
        return self._open_at - now + self._jitter(0, 0.1)

    def back_off(self, attempt: int) -> float:
        """Seconds to wait after the failed ``attempt`` (from 1), with jitter."""
        return self._jitter(0.5, 1) * min(SLOWEST_SECONDS, 0.5 * 2 ** (attempt - 1))

    def _measure(self, now: float) -> None:
        """Close a window, and let its rate decide about the limit."""
        rate = self._work / (now - self._begun)
        full, self._full = self._full, False
        self._begun, self._work, self._ended = now, 0, 0
        turning, self._turning = self._turning, False
        if turning or not full:  # not full: something else is the slowest
            return
        before = self.limit
        if rate > self._best_rate * GAIN:
            self._best_rate, self._best_limit = rate, self.limit
            self._kept = 0
            self.limit = min(self._most, self.limit * 2)
        elif self.limit != self._best_limit:
            self.limit = self._best_limit
        else:
            self._kept += 1
            if self._kept >= PROBE_WINDOWS:  # what is best may have changed
                self._kept, self._best_rate = 0, rate
                self.limit = min(self._most, self.limit * 2)
        self._turning = self.limit != before
