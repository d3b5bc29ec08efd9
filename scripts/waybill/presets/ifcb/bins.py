"""Bins: the three files of one name that an IFCB writes for one sample.

``.hdr``  text, written last: it tells how long the sample ran
``.adc``  a row of comma-separated numbers for each trigger, no header
``.roi``  the images one after the other, 8 bits a pixel, at the bytes that the rows tell

The format is that of pyifcb (``ifcb.data.adc``, ``ifcb.data.identifiers``) and of its test data.
A row has the byte at which its image begins. In the row of a trigger without an image (0 x 0) this
number has no meaning: older software writes the byte of the next image, software 2 writes 0. So the
``.roi`` ends where the image of the last row with an image ends. Old instruments begin at byte 1
and write one more byte at the end, so that their ``.roi`` without images has 2 bytes. A bin may
lack its ``.roi``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

TAIL_BYTES = 4096  # read first from the end of an .adc; a row has less than 300
SPARE_BYTES = 2  # a .roi may have so many bytes more than its rows say

_KINDS = frozenset([".adc", ".hdr", ".roi"])
_NAME = re.compile(r"D[0-9]{8}T[0-9]{6}_IFCB[0-9]+|IFCB[0-9]+_[0-9]{4}_[0-9]{3}_[0-9]{6}")


class Columns(NamedTuple):
    """Columns of a row in an .adc, from 0: the two sides of the image, and its first byte."""

    first_side: int
    second_side: int
    start: int


OLD, NEW = Columns(11, 12, 13), Columns(15, 16, 17)


def columns(name: str) -> Columns:
    """The columns in the .adc of the bin ``name``, which may have folders in front."""
    return NEW if name.rpartition("/")[2].startswith("D") else OLD


def split(path: str) -> tuple[str, str] | None:
    """The bin (with its folders) and the kind of file, such as ``adc``; None for another file."""
    name, dot_kind = path[:-4], path[-4:]
    if dot_kind in _KINDS and _NAME.fullmatch(name.rpartition("/")[2]):
        return name, dot_kind[1:]
    return None


def unfinished(name: str, sizes: Mapping[str, int], tail: Callable[[int], bytes]) -> str:
    """Why the bin ``name`` is half-written; ``""`` for one that is whole.

    ``sizes`` are the sizes of its files in bytes, by kind. ``tail`` reads a number of bytes from
    the end of the .adc; it is called only when they decide. A bin whose .adc has an unknown format
    counts as whole.
    """
    for kind in ("hdr", "adc"):
        if kind not in sizes:
            return f"no .{kind} yet"
    if not sizes["hdr"]:
        return ".hdr is empty"
    at = columns(name)
    end: int | None = 0
    count = min(TAIL_BYTES, sizes["adc"])
    while count:
        *whole, rest = tail(count).split(b"\n")
        rest = rest.strip()
        if rest and _is_cut(rest, whole, at):
            return ".adc ends within a row"
        rows = [*whole, rest] if rest else whole
        end = _last_end(rows, at, cut=count < sizes["adc"])
        if end != 0 or count == sizes["adc"]:
            break
        count = min(count * 8, sizes["adc"])  # no image in all these rows: further back
    if "roi" not in sizes or end is None:
        return ""
    if sizes["roi"] < end:
        return f".roi has {sizes['roi']} bytes, its images {end}"
    if sizes["roi"] > end + SPARE_BYTES:
        return f".adc tells of {end} bytes of images, .roi has {sizes['roi']}"
    return ""


def _last_end(rows: list[bytes], at: Columns, *, cut: bool) -> int | None:
    """The byte after the last image of these rows; 0 when no row has an image. None when there is
    no row, or a malformed one after the image. With ``cut`` the first row may lack its beginning.
    """
    for row in reversed(rows[1:] if cut and len(rows) > 1 else rows):
        end = _end(row, at)
        if end != 0:
            return end
    return 0 if rows else None


def _is_cut(rest: bytes, whole: list[bytes], at: Columns) -> bool:
    """Whether ``rest``, what follows the last line break, is a row that lacks columns."""
    if whole:
        return _end(whole[-1], at) is not None and rest.count(b",") < whole[-1].count(b",")
    return re.fullmatch(rb"[0-9]+(,[0-9.e+-]*)*", rest) is not None and rest.count(b",") <= at.start


def _end(row: bytes, at: Columns) -> int | None:
    """The byte after the image of ``row``, 0 for one without an image; None when it is no row."""
    cells = row.split(b",")
    try:
        sides = int(cells[at.first_side]), int(cells[at.second_side])
        start = int(cells[at.start])
    except (IndexError, ValueError):
        return None
    return start + sides[0] * sides[1] if sides[0] and sides[1] else 0
