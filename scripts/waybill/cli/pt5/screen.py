"""What ``pt5-uploader`` shows: colours on a terminal, the summary of its seed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from waybill.cli.terminal import Screen, visible

_COLOURS = {"red": 31, "green": 32, "yellow": 33}
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


class Colours:
    """Lines on a screen, in colour on a terminal unless ``NO_COLOR`` is set (no-color.org)."""

    def __init__(self, screen: Screen, program: str) -> None:
        self._screen, self._program = screen, program
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._out = wanted and sys.stdout.isatty()
        self._err = wanted and sys.stderr.isatty()

    def good(self, text: str) -> None:
        """Print a good result."""
        self._screen.line(_paint(visible(text), "green" if self._out else ""))

    def line(self, text: str = "") -> None:
        self._screen.line(visible(text))

    def wait(self, text: str) -> None:
        """Print what is not done and is no failure."""
        self._note(text, "yellow")

    def problem(self, text: str) -> None:
        """Print a failure."""
        self._note(text, "red")

    def _note(self, text: str, colour: str) -> None:
        line = f"{self._program}: {visible(text)}"
        self._screen.note(_paint(line, colour if self._err else ""))


def _paint(text: str, colour: str) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour else text


def summary(files: int, size: int, seconds: float) -> Iterator[str]:
    """The report of the seed about what has arrived, in its words."""
    seconds = max(seconds, 0.01)
    yield "Upload Summary Report:"
    yield f"Total Files: {files}"
    yield f"Total Size: {in_units(size)}"
    yield f"Duration: {seconds:.2f} seconds"
    yield f"Average Rate: {in_units(size / seconds)}/s"
    yield f"Files/Second: {files / seconds:.2f}"


def in_units(size: float) -> str:
    """Bytes in the units of the seed: steps of 1024, two decimals."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} {_UNITS[-1]}"
