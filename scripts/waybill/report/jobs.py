"""The jobs of the last run that moved something, and what they noted in their logs.

Jobs leave records (``results.jobs``). Results of versions without them have logs alone: a log
begins with the time of its first line, and the last line of a job that has ended says how long it
took (``stages.job``).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from waybill.model.secrets import masked
from waybill.results import jobs
from waybill.results.jobs import Job
from waybill.results.layout import Layout

if TYPE_CHECKING:
    from waybill.results.history import Ended

MOST_LOGS = 5_000
HEAD_BYTES, TAIL_BYTES = 64 << 10, 4 << 10
MOVING = ("upload", "download", "first")  # stages

_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) ([A-Z]+) [\w.]+: (.*)$", re.M)
_COST = re.compile(r"cost: ([\d.]+) s, CPU")
_AGAIN = re.compile(r"attempt \d+$|once more|hashed again|cannot be resumed")
_Moved = Mapping[tuple[str, str], tuple[int, int]]


@dataclass(slots=True)
class Jobs:
    """The jobs of one run, by begin, and how often they noted what (without the paths). Each
    attempt at a job is one."""

    jobs: list[Job] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def repeats(self) -> int:
        """Requests that were sent once more."""
        return sum(job.repeats for job in self.jobs)

    @property
    def failed(self) -> int:
        """Attempts that failed."""
        return sum(bool(job.code) for job in self.jobs)


def read(layout: Layout, moved: _Moved, ran: Ended | None) -> Jobs:
    """The jobs of the run ``ran``; without it, of all runs. ``moved`` maps (dataset, batch) to
    files and bytes that were moved, for results without records."""
    found = Jobs()
    since, until = _span(ran)
    logged = []
    for path in sorted(layout.logs.glob("**/*.log"))[:MOST_LOGS]:
        job, notes = _of_log(layout, path, moved)
        if job is not None and since <= job.begun <= until:
            logged.append(job)
            found.notes.update(notes)
    found.jobs = [job for job in jobs.ended(layout) if since <= job.begun <= until] or logged
    found.jobs.sort(key=lambda job: job.begun)
    return found


def _of_log(layout: Layout, path: Path, moved: _Moved) -> tuple[Job | None, list[str]]:
    """The job of a log, and what it noted."""
    with path.open("rb") as file:
        text = file.read(HEAD_BYTES)
        if len(text) == HEAD_BYTES:
            file.seek(max(HEAD_BYTES, path.stat().st_size - TAIL_BYTES))
            text += b"\n" + file.read()
    lines = list(_LINE.finditer(text.decode("utf-8", "replace")))
    if not lines:
        return None, []
    cost = _COST.match(lines[-1][4])
    end = _seconds(lines[-1])
    begun = end - float(cost[1]) if cost else _seconds(lines[0])
    stage, *about = path.relative_to(layout.logs).with_suffix("").parts
    dataset, batch = (about[0] if about else ""), "/".join(about[1:])
    files, size = moved.get((dataset, batch), (0, 0)) if stage in MOVING else (0, 0)
    job = Job(stage, dataset, batch, begun=begun, time=end, code=0 if cost else None)
    job.files, job.moved = files, size
    job.every, job.moves = max(end - begun, 0.001), [size]
    return job, list(_notes(lines))


def _notes(lines: list[re.Match[str]]) -> Iterator[str]:
    """What a job warned of, and what it did again."""
    for line in lines:
        level, text = line[3], line[4]
        if level in ("WARNING", "ERROR") or _AGAIN.search(text):
            _, colon, what = text.partition(": ")
            yield masked(what if colon else text)


def _span(ran: Ended | None) -> tuple[float, float]:
    """When a run began and ended, in seconds since the epoch."""
    try:
        end = datetime.fromisoformat(ran.time).timestamp() if ran else None
    except ValueError:
        end = None
    if ran is None or end is None:
        return 0, float("inf")
    return end - ran.seconds - 2, end + 2  # times in the history are in whole seconds


def _seconds(line: re.Match[str]) -> float:
    """The time of a line, in seconds since the epoch; logs have local time."""
    return time.mktime(time.strptime(line[1], "%Y-%m-%d %H:%M:%S")) + int(line[2]) / 1000
