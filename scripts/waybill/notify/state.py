"""What channels were told about a transfer, and what they are to be told now.

``results/{transfer}/notify.json`` is written after a notification and is never a Snakemake output:
``failing_since`` (UTC, ISO 8601, or null) and ``told``, which maps a channel to ``failures`` (a
digest of the failures it was told of last) and ``time`` (UTC, ISO 8601).

A channel is told of a failure when the failure is new or changed, and then once a day while it
lasts. A channel that was told of a failure is told when it is over. A channel is told of a success
when files were moved and their dataset is complete.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from waybill.model.errors import EXIT_OK
from waybill.model.times import utc
from waybill.notify.report import Failed, Report
from waybill.system import foreign_json
from waybill.system.files import write_atomic

NAME = "notify.json"

# A day, minus the time by which daily runs may differ.
REPEAT = timedelta(hours=23, minutes=30)

SUCCESS, FAILURE, RECOVERY = "success", "failure", "recovery"


class Told(NamedTuple):
    """The failures that a channel was told of last: their digest, and the time."""

    failures: str
    time: str


@dataclass(frozen=True, slots=True)
class State:
    """What was told so far; ``told`` maps a channel to the failure it was told of last."""

    failing_since: str | None = None
    told: Mapping[str, Told] = field(default_factory=dict)


def digest(failures: Iterable[Failed]) -> str:
    """A digest of failures (16 hex digits). Numbers in messages do not count, because they may
    differ from run to run."""
    lines = sorted(f"{f.dataset}\t{f.path}\t{re.sub('[0-9]+', '#', f.message)}" for f in failures)
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def events(
    report: Report, known: State, on: Iterable[str], channel: str, now: datetime
) -> tuple[str, ...]:
    """The events of this run that ``channel`` is to be told; none when it has no news for it."""
    found = []
    if report.failures:
        told = known.told.get(channel)
        if told is not None and told.failures != digest(report.failures):
            told = None
        if FAILURE in on and (told is None or not _is_recent(told.time, now)):
            found.append(FAILURE)
    elif channel in known.told and report.exit_code == EXIT_OK:
        found.append(RECOVERY)
    if SUCCESS in on and report.finished:
        found.append(SUCCESS)
    return tuple(found)


def _is_recent(time: str, now: datetime) -> bool:
    """Whether ``time`` is less than a day ago. False for a time in the future: it is wrong."""
    return timedelta(0) <= now - datetime.fromisoformat(time) < REPEAT


def advanced(
    known: State, report: Report, delivered: Mapping[str, Iterable[str]], now: datetime
) -> State:
    """The state after a run; ``delivered`` maps every channel to the events that reached it."""
    told = dict(known.told)
    if report.failures:
        for channel, which in delivered.items():
            if FAILURE in which:
                told[channel] = Told(digest(report.failures), utc(now))
        return State(known.failing_since or utc(now), told)
    if report.exit_code != EXIT_OK:
        return known
    left = {c: t for c, t in told.items() if c in delivered and RECOVERY not in delivered[c]}
    return replace(known, told=left) if left else State()


def read(folder: Path) -> State:
    """The state kept in ``folder``; a fresh one when there is none.

    Raises ValueError when the file is damaged, OSError when it cannot be read.
    """
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return State()
    try:
        found = foreign_json.loads(data)
        since = found["failing_since"]
        told = {c: Told(t["failures"], t["time"]) for c, t in found["told"].items()}
        for time in (since, *(t.time for t in told.values())):
            if time is not None and datetime.fromisoformat(time).tzinfo is None:
                raise ValueError("a time without a zone")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / NAME}: damaged") from error
    return State(since, told)


def set_aside(folder: Path) -> Path:
    """Give a damaged state file another name, and return that."""
    aside = folder / f"{NAME}.damaged"
    (folder / NAME).replace(aside)
    return aside


def write(folder: Path, state: State) -> None:
    """Write the state in one step."""
    told = {channel: entry._asdict() for channel, entry in state.told.items()}
    text = json.dumps({"failing_since": state.failing_since, "told": told}, indent=1)
    write_atomic(folder / NAME, text.encode() + b"\n")
