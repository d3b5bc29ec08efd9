"""Times: UTC everywhere, ISO 8601 with milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_NS = -62_135_596_800 * 10**9  # 0001-01-01
_AFTER_NS = 253_402_300_800 * 10**9  # 10000-01-01


def utc(when: int | datetime | None = None) -> str:
    """``2026-01-02T03:04:05.678Z`` of a time in ns since the epoch, of a datetime, or of now.
    Raises OverflowError for a time before the year 1 or after the year 9999."""
    if when is None:
        seconds, ns = divmod(time.time_ns(), 1_000_000_000)
        return f"{_second(seconds)}.{ns // 1_000_000:03}Z"
    if isinstance(when, int):
        when = _EPOCH + timedelta(microseconds=when // 1000)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def has_date(ns: int) -> bool:
    """Whether a time (ns since the epoch) is in the years 1 to 9999, which a date can tell."""
    return _FIRST_NS <= ns < _AFTER_NS


def utc_of_file(mtime_ns: int) -> str | None:
    """The time of a file (ns since the epoch) as ``utc`` gives it; None where that cannot tell it,
    for a file may be of the year 10000."""
    return utc(mtime_ns) if has_date(mtime_ns) else None


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    """The date and time of a second; cached, because many things happen in one second."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def nanoseconds(when: datetime) -> int:
    """A time in ns since the epoch, exact."""
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000
