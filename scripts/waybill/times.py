"""Times: UTC everywhere, ISO 8601 with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(when: int | datetime | None = None) -> str:
    """``2026-01-02T03:04:05.678Z`` of a time in ns since the epoch, of a datetime, or of now."""
    if when is None:
        when = datetime.now(UTC)
    elif isinstance(when, int):
        when = _EPOCH + timedelta(microseconds=when // 1000)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def nanoseconds(when: datetime) -> int:
    """A time in ns since the epoch, exact."""
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000
