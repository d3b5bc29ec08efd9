"""Times: UTC everywhere, ISO 8601 with milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(when: int | datetime | None = None) -> str:
    """``2026-01-02T03:04:05.678Z`` of a time in ns since the epoch, of a datetime, or of now."""
    if when is None:
        seconds, ns = divmod(time.time_ns(), 1_000_000_000)
        return f"{_second(seconds)}.{ns // 1_000_000:03}Z"
    if isinstance(when, int):
        when = _EPOCH + timedelta(microseconds=when // 1000)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    """The date and time of a second; cached, because many things happen in one second."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def nanoseconds(when: datetime) -> int:
    """A time in ns since the epoch, exact."""
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000
