"""What a person sees: lines, tables, the question, the progress line."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from waybill import __version__
from waybill.cli.words import Words, translated
from waybill.model.errors import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    ConfigError,
    WaybillError,
    describe,
)
from waybill.model.escaping import escape
from waybill.model.times import utc
from waybill.system import encoding

if TYPE_CHECKING:
    from waybill.cli.live import Display
    from waybill.results.forecast import Progress

LINE_SECONDS = 30.0  # between two lines of progress off a terminal


def printable(text: str) -> str:
    """A name for the screen: escaped by ``escape``, and without characters that a terminal would
    obey."""
    return visible(escape(text))


def visible(text: str) -> str:
    """``text`` with the characters that a terminal would obey written out; all else stays."""
    return "".join(c if c.isprintable() else _written_out(c) for c in text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def table(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """The rows as lines, with two blanks between columns; columns ``right`` are right-aligned."""
    rows, right = list(rows), set(right)
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, wide) in enumerate(zip(row, widths, strict=True)):
            blank = " " * (wide - width(cell))
            cells.append(blank + cell if number in right else cell + blank)
        lines.append("  ".join(cells).rstrip())
    return lines


class Screen:
    """The terminal of one command: results on standard output, the rest on standard error.
    ``words`` are those of its user. With ``quiet``, the results wait for ``release``. With ``json``
    standard output has JSON only: no lines, but what ``event`` and ``document`` write; ``data`` and
    the problems go into the document.

    A reader that goes away (``| head``) does not end the command: what it does not read is lost.
    """

    def __init__(
        self,
        program: str,
        words: Words | None = None,
        *,
        quiet: bool = False,
        json: bool = False,
    ) -> None:
        self._program = program
        self.words = words or {}
        self._held: list[str] | None = [] if quiet or json else None
        self.json = json
        self.data: dict[str, Any] = {}
        self._problems: list[str] = []
        self._events = False
        self._live = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
        self._display: Display | None = None
        self._due = time.monotonic() + LINE_SECONDS
        self.ended = False  # whether standard input has come to its end
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    def line(self, text: str = "") -> None:
        """One line of the result."""
        if self._held is not None:
            self._held.append(text)
            return
        self.clear()
        _write(translated(text, self.words) + "\n", sys.stdout)

    def release(self) -> None:
        """Show the lines that wait, and let no more wait."""
        held, self._held = self._held or [], None
        for text in held:
            self.line(text)

    def problem(self, text: str) -> None:
        """One line about an error."""
        self._problems.append(text)
        if self._events:
            self.event("problem", text=text)
        self.note(f"{self._program}: {text}")

    def note(self, text: str) -> None:
        """One line beside the result."""
        self.clear()
        _write("", sys.stdout)
        _write(translated(text, self.words) + "\n", sys.stderr)

    def event(self, name: str, **told: Any) -> None:
        """One event as a line of JSON; without ``json`` nothing."""
        if self.json:
            self._events = True
            line = json.dumps({"event": name, "time": utc(), **told}, ensure_ascii=False)
            _write(line + "\n", sys.stdout)

    def document(self, command: str, code: int) -> None:
        """The document of a command that has ended with this exit code; after events the last of
        them."""
        if self._events:
            self.event("end", exit_code=code)
            return
        head = {"waybill": __version__, "command": command, "time": utc(), "exit_code": code}
        found = {**head, "problems": self._problems, **self.data}
        _write(json.dumps(found, indent=2, ensure_ascii=False) + "\n", sys.stdout)

    def progress(self, what: str | Progress) -> None:
        """Show a line or the progress of a run in place of what was shown last. Off a terminal the
        progress of a run is one plain line every ``LINE_SECONDS``."""
        if self._held is not None:
            return
        if self._live:
            if self._display is None:
                from waybill.cli.live import Display

                self._display = Display(printable)
            self._display.show(what)
        elif not isinstance(what, str) and time.monotonic() >= self._due:
            self._due = time.monotonic() + LINE_SECONDS
            self.note(f"{self._program} progress: {visible(str(what))}")

    def clear(self) -> None:
        """Remove the progress."""
        if self._display is not None:
            self._display.clear()

    def ask(self, question: str) -> bool:
        """Whether the answer is yes; no answer is no."""
        return self.prompt(f"{question} [y/N] ").lower() in ("y", "yes")

    def prompt(self, text: str) -> str:
        """What is typed after ``text``; nothing at the end of input."""
        self.release()
        self.clear()
        try:
            return input(text).strip()
        except EOFError:
            self.ended = True
            print(flush=True)
            return ""
        except KeyboardInterrupt:
            print(flush=True)
            raise


def asks() -> bool:
    """Whether standard input is a terminal, so that a question can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def _write(text: str, stream: TextIO) -> None:
    """Write ``text`` at once; into nothing when the reader of the stream has gone."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def end_output() -> None:
    """Write what waits for standard output, so that the end of the process has nothing to say when
    its reader has gone."""
    _write("", sys.stdout)


def guarded(
    program: str,
    command: Callable[[Screen], int],
    words: Words | None = None,
    *,
    quiet: bool = False,
    document: str = "",
) -> int:
    """Run ``command``, whose user has these ``words``; returns its exit code. An error that a user
    can mend ends in one line, not in a traceback. With ``quiet``, the results are shown only when
    the exit code is not 0. ``document`` is the name of a command that tells all of it as JSON."""
    encoding.ensure()
    screen = Screen(program, words, quiet=quiet, json=bool(document))
    code = _guarded(screen, command)
    if document:
        screen.document(document, code)
    elif code:
        screen.release()
    return code


def _guarded(screen: Screen, command: Callable[[Screen], int]) -> int:
    try:
        return command(screen)
    except ConfigError as error:
        for problem in error.problems:
            screen.problem(visible(problem))
        return EXIT_CONFIG
    except WaybillError as error:
        screen.problem(visible(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        screen.clear()
        screen.problem("interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        text = describe(error, Path(error.filename)) if error.filename else error.strerror
        screen.problem(visible(text or str(error)))
        return EXIT_FAILED
