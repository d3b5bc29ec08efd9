"""The rows of ``waybill doctor``, and how its checks are run: all at once, each with a time limit,
none of which can hide another."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from waybill.model.errors import EXIT_FAILED, EXIT_OK, WaybillError, one_line
from waybill.system.futures import error_of

SIDE_BY_SIDE = 16  # checks at one time


class Verdict(StrEnum):
    """What a row says: right, will hurt, will not work, or not told (the row says why)."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNTOLD = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. ``found`` is what is there, ``advice`` what to set, ``""`` when
    there is nothing to do."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check named ``name``: the function yields its rows. What it raises becomes a row."""

    name: str
    rows: Callable[[], Iterable[Row]]


def run_checks(checks: Sequence[Check], seconds: float) -> list[list[Row]]:
    """The rows of each check, in the order of the checks. A check that has no answer after
    ``seconds`` keeps the rows that it has, and a row says so."""
    found: list[list[Row]] = []
    for start in range(0, len(checks), SIDE_BY_SIDE):
        working = [_Working(check) for check in checks[start : start + SIDE_BY_SIDE]]
        deadline = time.monotonic() + seconds
        for each in working:
            each.start()
        found += [each.until(deadline, seconds) for each in working]
    return found


def exit_code(rows: Iterable[Row]) -> int:
    """1 when something will not work, else 0."""
    return EXIT_FAILED if any(row.verdict is Verdict.FAIL for row in rows) else EXIT_OK


def count(rows: Iterable[Row]) -> str:
    """The rows by verdict, in words: ``1 will not work, 2 will hurt, 14 right, 1 not told``."""
    words = {
        Verdict.FAIL: "will not work",
        Verdict.WARN: "will hurt",
        Verdict.OK: "right",
        Verdict.UNTOLD: "not told",
    }
    verdicts = [row.verdict for row in rows]
    counts = ((verdicts.count(verdict), text) for verdict, text in words.items())
    return ", ".join(f"{number} {text}" for number, text in counts if number)


class _Working(threading.Thread):
    """A check at work. The thread ends with the process: nothing can end a thread that waits for a
    file system that is gone."""

    def __init__(self, check: Check) -> None:
        super().__init__(daemon=True)
        self._check = check
        self._rows: list[Row] = []
        self._ended = False

    def run(self) -> None:
        if error := error_of(self._take):
            self._rows.append(broken(self._check.name, error))
        self._ended = True

    def _take(self) -> None:
        for row in self._check.rows():
            self._rows.append(row)

    def until(self, deadline: float, seconds: float) -> list[Row]:
        self.join(max(0.0, deadline - time.monotonic()))
        rows = [*self._rows]
        if not self._ended:
            text = f"no answer within {math.ceil(seconds)} s"
            advice = "see whether its file system, server or program hangs"
            rows.append(Row(self._check.name, Verdict.FAIL, text, advice))
        return rows


def broken(check: str, error: BaseException) -> Row:
    """The row about a check that has ended in an error."""
    if isinstance(error, WaybillError):
        return Row(check, Verdict.FAIL, one_line(str(error)))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Row(check, Verdict.FAIL, one_line(f"{where}{error.strerror}"))
    if isinstance(error, ImportError):
        return Row(check, Verdict.FAIL, one_line(str(error)), "install what is missing")
    text = one_line(f"the check itself failed: {type(error).__name__}: {error}")
    return Row(check, Verdict.FAIL, text, "report this line as a bug")
