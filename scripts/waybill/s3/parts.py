"""Part sizes. They must never change: resumed uploads and composite checksums depend on them.

S3 API, "Multipart upload limits": at most 10,000 parts, each 5 MiB to 5 GiB but the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from awscrt import checksums

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


class PartCrcs:
    """CRC-64/NVME of each part of a file. They show whether a second read gives the same bytes, at
    a tenth of the cost of another SHA-256."""

    def __init__(self, size: int) -> None:
        self._length = part_size(size)
        self._crcs: dict[int, int] = {}

    def add(self, start: int, block: bytes) -> None:
        """Add the next block of the file; it may reach from one part into the next."""
        number, at = divmod(start, self._length)
        mine, rest = block, b""
        if at + len(block) > self._length:
            mine, rest = block[: self._length - at], block[self._length - at :]
        self._crcs[number + 1] = checksums.crc64nvme(mine, self._crcs.get(number + 1, 0))
        if rest:
            self.add(start + len(mine), rest)

    def agrees(self, number: int, data: bytes) -> bool:
        """Whether these are the bytes of a part."""
        return self._crcs.get(number) == checksums.crc64nvme(data)
