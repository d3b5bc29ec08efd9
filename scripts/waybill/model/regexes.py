"""Regular expressions of users, bounded in time.

Python's engine may need a time that doubles with every character of the text, for example for
``(a+)+$``. It looks for signals while it searches, so a timer of the CPU time can end a search. A
signal reaches the main thread only; a search in another thread is made by a process that can be
killed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType

from waybill.model.errors import EXIT_CONFIG, WaybillError, one_line

SECONDS = 2.0  # of CPU time for one search; a usual one takes microseconds

PROCESS_SECONDS = 12.0  # for a search in a process of its own, which has to start first

Search = Callable[[str], bool]

_SHOWN = 80  # characters of the text in a message

_REPEATS = re.compile(r"[*+?{]")

_is_ready = False  # the signal has its handler
_searching = False  # the main thread, now

_SEARCH = (
    "import json, re, sys; regex, flags, text = json.load(sys.stdin);"
    " print(int(re.search(regex, text, flags) is not None))"
)


class SlowRegexError(WaybillError):
    """A regular expression that takes too long; ``regex`` and ``text`` are what was searched."""

    def __init__(self, regex: str, text: str, *, what: str = "regular expression") -> None:
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
        super().__init__(
            f'the {what} "{one_line(regex)}" takes more than {SECONDS:g} s for'
            f' "{one_line(shown)}"; write it without a repetition within a repetition, as in (a+)+',
            exit_code=EXIT_CONFIG,
        )
        self.regex, self.text = regex, text


class _Elapsed(BaseException):
    """The time is over."""


def check_regex(regex: str) -> None:
    """Raise ValueError, which shows it, when ``regex`` is not a regular expression."""
    try:
        re.compile(regex)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        shown = regex if len(regex) <= _SHOWN else f"{regex[: _SHOWN - 3]}..."
        raise ValueError(f'"{shown}" is not a regular expression: {error}') from None


def searcher(regex: str, flags: int = 0, *, named: str = "") -> Search:
    """A function that tells whether ``regex`` is found in a text. It raises SlowRegexError, which
    names ``named`` in the place of the regular expression where that is given."""
    search = re.compile(regex, flags).search
    if "(" not in regex and len(_REPEATS.findall(regex)) < 2:  # cannot be slow
        return lambda text: search(text) is not None

    def is_found(text: str) -> bool:
        try:
            if threading.current_thread() is threading.main_thread():
                return _in_time(search, text)
            return _elsewhere(regex, flags, text)
        except _Elapsed:
            what = "pattern" if named else "regular expression"
            raise SlowRegexError(named or regex, text, what=what) from None

    return is_found


def _in_time(search: Callable[[str], object], text: str) -> bool:
    global _is_ready, _searching
    if not _is_ready:
        signal.signal(signal.SIGVTALRM, _over)
        _is_ready = True
    _searching = True
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        return search(text) is not None
    finally:
        _searching = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _over(_: int, __: FrameType | None) -> None:
    if _searching:
        raise _Elapsed


def _elsewhere(regex: str, flags: int, text: str) -> bool:
    try:
        said = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SEARCH],
            input=json.dumps([regex, flags, text]).encode(),
            stdout=subprocess.PIPE,
            timeout=PROCESS_SECONDS,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        raise _Elapsed from None
    return said.strip() == b"1"
