"""Numbers written as text: sizes in bytes and samples."""

from __future__ import annotations

import re

_FACTORS = {"": 1, "b": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}
_SIZE = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?[ ]?([A-Za-z]*)", re.ASCII)


def parse_size(value: int | str) -> int:
    """Bytes meant by a whole number or by a text like ``"512MiB"``, ``"1.5 GB"`` or ``"4096"``.

    kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB powers of 1024; the case of the
    unit does not matter, and part of a byte is dropped. Raises ValueError for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size cannot be negative")
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    factor = _FACTORS.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise ValueError('a size is a number of bytes or a text like "512MiB" or "2GB"')
    fraction = match[2] or ""
    return int(match[1] + fraction) * factor // 10 ** len(fraction)


def parse_sample(text: str) -> tuple[int, int]:
    """The ``(n, m)`` of a sample ``"n/m"``: n of every m objects, 1 <= n <= m.

    Raises ValueError when the text is not of that form or n is larger than m.
    """
    match = re.fullmatch(r"([1-9]\d{0,8})/([1-9]\d{0,8})", text, re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError('a sample is a text "N/M" of whole numbers, with N from 1 to M')
    return int(match[1]), int(match[2])


def format_size(size: float) -> str:
    """A size in bytes for people, in steps of 1024: ``1.5 GiB``."""
    if size < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


HASH_RATE = 500 << 20  # bytes a second: a disk is slower than SHA-256 on most machines


def hash_time(size: int) -> str:
    """How long it takes to hash so many bytes at ``HASH_RATE``, for people."""
    return format_duration(max(1, size / HASH_RATE))


def format_duration(seconds: float) -> str:
    """A time for people: ``3 h 05 min``, ``2 min 10 s`` or ``7 s``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
