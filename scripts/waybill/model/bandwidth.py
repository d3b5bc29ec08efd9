"""The setting ``max_bandwidth``: one limit, or a timetable of limits over the day."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from waybill.model.units import parse_size

_STEP = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s+(\S.*)")
_FORM = 'bytes per second, a text like "50MiB", or a timetable like "08:00 10MiB, 19:00 off"'


class Bandwidth(NamedTuple):
    """Limits over the day: each step is the minute of the day from which it holds, and its bytes
    per second; None means no limit. The last step of a day holds until the first of the next."""

    steps: tuple[tuple[int, int | None], ...]

    def at(self, minute: int) -> int | None:
        """The limit at a minute of the day, in bytes per second."""
        begun = [limit for start, limit in self.steps if start <= minute]
        return begun[-1] if begun else self.steps[-1][1]


def parse_bandwidth(value: int | str) -> Bandwidth:
    """The limits meant by a number of bytes per second, a size in text, or a timetable: steps
    ``HH:MM SIZE`` or ``HH:MM off``, in their order over the day (local time), with commas between
    them. Raises ValueError for anything else."""
    if isinstance(value, str) and ":" in value:
        steps = tuple(_step(text.strip()) for text in value.split(","))
        if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
            raise ValueError("the times of a timetable must be in their order over the day")
        return Bandwidth(steps)
    return Bandwidth(((0, _limit(value)),))


def _step(text: str) -> tuple[int, int | None]:
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError(_FORM)
    limit = None if match[3] == "off" else _limit(match[3])
    return int(match[1]) * 60 + int(match[2]), limit


def _limit(value: int | str) -> int:
    try:
        limit = parse_size(value)
    except ValueError:
        raise ValueError(_FORM) from None
    if limit < 1:
        raise ValueError("a limit is at least one byte per second")
    return limit
