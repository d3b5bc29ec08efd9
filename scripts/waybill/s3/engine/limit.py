"""Limits how many requests are in flight at one time: more while the rate grows with them, fewer
when S3 asks to slow down."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

START = 8  # requests in flight at first
REQUEST_BYTES = 64 << 10  # counted for each request, beside the bytes that it moves
WINDOW_SECONDS = 0.1  # the shortest time over which the rate is measured
GAIN = 1.2  # a rate this much higher is worth twice the requests in flight; less may be noise
PROBE_WINDOWS = 20  # windows with the best limit, before a higher one is tried again
SLOWEST_SECONDS = 20.0  # the longest pause before a request is tried again


class Gate:
    """Admits at most ``limit`` requests at one time. ``limit`` is at most ``most``. To be used by
    one thread only.

    The limit doubles while the rate (requests and bytes together) grows with it. When the rate does
    not grow, the limit goes back; a higher one is tried again from time to time. When S3 answers
    SlowDown, the limit is halved and all requests wait. ``clock`` gives seconds, and ``jitter``
    stands in for ``random.uniform`` in tests.
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
        # The present window: its start, the work done, how many requests have ended, and whether
        # the limit was reached.
        self._begun, self._work, self._ended, self._full = clock(), 0, 0, False
        self._best_rate, self._best_limit = 0.0, self.limit
        self._kept = 0
        self._turning = False  # the limit was changed in this window: its rate is of both limits

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
        """Seconds until requests may be sent again after a SlowDown."""
        return max(0.0, self._open_at - self._clock())

    def enter(self) -> None:
        """Note that a request is sent."""
        self.in_flight += 1

    def leave(self, count: int) -> None:
        """Note that a request has ended and has moved ``count`` bytes."""
        self._full |= self.is_full
        self.in_flight -= 1
        self._work += REQUEST_BYTES + count
        self._ended += 1
        now = self._clock()
        if now - self._begun >= WINDOW_SECONDS and self._ended >= self.limit:
            self._measure(now)

    def slow_down(self, asked: float = 0.0) -> float:
        """Note that S3 answered SlowDown: halve the limit, and pause all requests, for at least the
        seconds ``asked`` for. The pause grows while S3 keeps answering SlowDown. Further such
        answers during a pause can only make it longer. Returns the seconds to wait."""
        now = self._clock()
        if now >= self._open_at:
            recent = now - self._slowed_at < 2 * SLOWEST_SECONDS
            self._slow_downs = self._slow_downs + 1 if recent else 1
            self._slowed_at = now
            self.limit = max(1, self.limit // 2)
            self._open_at = now + max(self.back_off(self._slow_downs), asked)
            self._begun, self._work, self._ended, self._full = self._open_at, 0, 0, False
            self._best_rate, self._best_limit = 0.0, self.limit
            self._kept = 0
        self._open_at = max(self._open_at, now + asked)
        return self._open_at - now + self._jitter(0, 0.1)

    def back_off(self, attempt: int) -> float:
        """Seconds to wait after the failed ``attempt`` (from 1), with jitter."""
        return self._jitter(0.5, 1) * min(SLOWEST_SECONDS, 0.5 * 2 ** (attempt - 1))

    def _measure(self, now: float) -> None:
        """End a window, and adjust the limit to its rate."""
        rate = self._work / (now - self._begun)
        full, self._full = self._full, False
        self._begun, self._work, self._ended = now, 0, 0
        turning, self._turning = self._turning, False
        if turning or not full:  # not full: the limit is not the bottleneck
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
            if self._kept >= PROBE_WINDOWS:  # another limit may be best by now
                self._kept, self._best_rate = 0, rate
                self.limit = min(self._most, self.limit * 2)
        self._turning = self.limit != before
