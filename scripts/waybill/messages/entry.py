"""One entry of the catalogue."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Messages that mean the same.

    ``words`` are parts of these messages; the whole texts stand in the code, where ``find`` finds
    them. ``code`` is the exit code of a run or a command that ends with such a message, ``—`` for a
    line that does not change it.
    """

    name: str
    words: tuple[str, ...]
    happened: str
    do: str
    code: str = "1"
