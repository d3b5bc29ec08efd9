"""A bound on the bytes that are in memory at one time."""

from __future__ import annotations

from threading import Condition


class Budget:
    """Bounds the bytes that are in memory at one time; one larger piece may go alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = Condition()

    def take(self, count: int) -> None:
        """Wait until ``count`` bytes fit."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + count <= self._limit)
            self._used += count

    def try_take(self, count: int) -> bool:
        """Take ``count`` bytes if they fit now."""
        with self._changed:
            fits = not self._used or self._used + count <= self._limit
            if fits:
                self._used += count
            return fits

    def force(self, count: int) -> None:
        """Take ``count`` bytes at once, even beyond the limit; for callers that must not wait."""
        with self._changed:
            self._used += count

    def give(self, count: int) -> None:
        """Give ``count`` bytes back."""
        with self._changed:
            self._used -= count
            self._changed.notify_all()
