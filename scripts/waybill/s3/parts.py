"""Part sizes. They must never change: resumed uploads and composite checksums depend on them.

S3 API, "Multipart upload limits": at most 10,000 parts, each 5 MiB to 5 GiB but the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MULTIPART_ABOVE_BYTES = 64 << 20
SMALLEST_PART_BYTES = 16 << 20
MAX_PARTS = 10_000


class Part(NamedTuple):
    """One part: its number from 1, its first byte and its length in bytes."""

    number: int
    start: int
    length: int


def part_size(size: int) -> int:
    """The part size in bytes of an object of ``size`` bytes: 16 MiB, doubled until 10,000 parts
    are enough. If this function changes, every open multipart upload begins again."""
    length = SMALLEST_PART_BYTES
    while length * MAX_PARTS < size:
        length *= 2
    return length


def parts(size: int, length: int) -> Iterator[Part]:
    """The parts of an object of ``size`` bytes in parts of ``length`` bytes."""
    for number, start in enumerate(range(0, size, length), 1):
        yield Part(number, start, min(length, size - start))
