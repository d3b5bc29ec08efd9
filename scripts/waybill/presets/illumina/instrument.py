"""Which instrument made a run, and whether the run is finished.

An instrument whose files are moved by Illumina's Universal Copy Service writes ``CopyComplete.txt``
when all of them have arrived; ``RTAComplete.txt`` is there up to hours earlier. Others have only
``RTAComplete.txt`` or, NextSeq 500, ``RTAComplete.xml``. Which instruments have that service:

- NovaSeq 6000, NovaSeq X, NextSeq 1000/2000, MiSeq i100: all
- MiSeq and NextSeq 500/550: from version 4 of their control software on (Illumina Knowledge,
  "File paths for the MiSeq"; CISA, ICSMA-23-117-01)

MiniSeq and iSeq 100 have the service too, but nothing that Illumina publishes says that they write
the file, and sequencing cores have seen both. Their runs, and those of an instrument that is not
known, are finished with CopyComplete.txt; without one they have to be quiet for ``QUIET_SECONDS``
after RTAComplete. Instruments are told apart by the control software that RunParameters.xml names,
and by serial numbers, which begin with letters of their own.

A run that was stopped or broke off may have all these files; RunCompletionStatus.xml tells it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from waybill.presets.illumina.run_xml import (
    RUN_COMPLETION_STATUS,
    RunInfo,
    RunParameters,
    XmlError,
    ended_early,
    read_run_info,
    read_run_parameters,
)

COPY_COMPLETE = "CopyComplete.txt"
RTA_COMPLETE = ("RTAComplete.txt", "RTAComplete.xml")

# Base calling is over with any of these, whether the files have arrived or not.
_CALLED = (*RTA_COMPLETE, "SequenceComplete.txt")

# How long nothing may have changed in a run, if its instrument may or may not write
# CopyComplete.txt. A core with such instruments waits so long; a longer pause of a copy is its end.
QUIET_SECONDS = 6 * 3600.0

_ALWAYS, _NEVER, _PERHAPS = 0, 1 << 30, 1 << 31
_OVERDUE = 24 * 3600.0


class _Model(NamedTuple):
    name: str
    serial: str
    application: str
    copies_since: int  # the major version of the control software


# In this order, because the name of one control software may contain that of another.
_MODELS = (
    _Model("NovaSeq X", r"LH\d", r"NovaSeq ?X", _ALWAYS),
    _Model("NovaSeq 6000", r"A(?:DX)?\d{5}", r"NovaSeq", _ALWAYS),
    _Model("NextSeq 1000/2000", r"V[HL]\d", r"NextSeq ?(?:1000|2000|1k2k)", _ALWAYS),
    _Model("NextSeq 500/550", r"(?:NB|NS|NDX)\d", r"NextSeq", 4),
    _Model("MiSeq i100", r"SH\d", r"MiSeq ?i100", _ALWAYS),
    _Model("MiSeq", r"MD?\d{4}", r"MiSeq", 4),
    _Model("MiniSeq", r"MN\d", r"MiniSeq", _PERHAPS),
    _Model("iSeq 100", r"FS\d", r"\biSeq", _PERHAPS),
    _Model("HiSeq", r"(?:ST-)?E\d{5}|[CDJK]\d{5}|SN\d", r"HiSeq", _NEVER),
)


class Instrument(NamedTuple):
    """An instrument. ``model`` is ``""`` when it is not known. ``copies`` is whether it writes
    CopyComplete.txt; None when that is not certain.

    ``notes`` are oddities, each with the name of its file. They do not prevent an upload.
    """

    model: str
    serial: str
    copies: bool | None
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[str, ...]:
        """The files of which any one shows that a run is finished.

        CopyComplete.txt counts even where it is not expected.
        """
        return (COPY_COMPLETE,) if self.copies else (COPY_COMPLETE, *RTA_COMPLETE)


class Phase(StrEnum):
    """How far a run is."""

    IN_PROGRESS = "in progress"
    ABORTED = "aborted"
    COPYING = "copying"
    NOT_SETTLED = "not settled"
    FINISHED = "finished"


class State(NamedTuple):
    """How far a run is, and why in words. ``finished_at`` is the time of its completion file, in
    seconds since the epoch, or None. ``notes`` are those of the instrument. ``lacks`` says what a
    finished run has waited for in vain."""

    phase: Phase
    reason: str
    finished_at: float | None = None
    notes: tuple[str, ...] = ()
    lacks: str = ""


def identify(run: Path) -> Instrument:
    """The instrument that made ``run``.

    A damaged file is named in ``notes``. The serial number is then taken from the name of the
    folder, where it is the second part.
    """
    notes: list[str] = []
    info, parameters = RunInfo(), RunParameters()
    try:
        info = read_run_info(run)
    except XmlError as error:
        notes.append(str(error))
    if info.run_id and info.run_id != run.name:
        notes.append(f"{run / 'RunInfo.xml'}: is of run {info.run_id}, not of {run.name}")
    serial = info.serial or _serial_of(run.name)
    model = _by_serial(serial)
    if model is None or model.copies_since not in (_ALWAYS, _NEVER, _PERHAPS):
        try:
            parameters = read_run_parameters(run)
        except XmlError as error:
            notes.append(str(error))
        model = _by_application(parameters.application) or model or _by_serial(parameters.serial)
    name, copies = "", None
    if model is not None:
        name = model.name
        if model.copies_since != _PERHAPS:
            copies = _major(parameters.version) >= model.copies_since
    return Instrument(name, serial or parameters.serial, copies, tuple(notes))


def _serial_of(name: str) -> str:
    parts = name.split("_")
    return parts[1] if len(parts) >= 4 and re.fullmatch(r"\d{6}|\d{8}", parts[0]) else ""


def _by_serial(serial: str) -> _Model | None:
    return next((model for model in _MODELS if re.match(model.serial, serial)), None)


def _by_application(application: str) -> _Model | None:
    return next((model for model in _MODELS if re.search(model.application, application)), None)


def _major(version: str) -> int:
    match = re.match(r"\D*(\d{1,6})", version)
    return int(match[1]) if match else 0


def state(
    run: Path,
    complete: Sequence[str] | None = None,
    settle: float = 0,
    now: float | None = None,
    *,
    complete_all: bool = False,
    complete_timeout: float = 0,
    aborted: bool = False,
) -> State:
    """How far ``run`` is.

    ``complete`` are files, relative to the run, any of which shows that it is finished. With
    ``complete_all`` each of them is needed, but the first waits for the others no longer than
    ``complete_timeout`` seconds (0: no limit). Without files the instrument decides. If it is not
    certain that the instrument writes CopyComplete.txt, and there is none, ``settle`` is at least
    ``QUIET_SECONDS``. A finished run has settled when neither its completion files nor anything at
    its top or in InterOp changed in the last ``settle`` seconds before ``now`` (seconds since the
    epoch; None: the clock). A run that ended early is ABORTED, unless ``aborted`` runs are taken.
    Raises OSError when the folder cannot be listed.
    """
    now = time.time() if now is None else now
    with os.scandir(run) as scan:
        names = {item.name for item in scan}
    if not aborted and RUN_COMPLETION_STATUS in names and (status := ended_early(run)):
        text = f"{RUN_COMPLETION_STATUS} says {status}; set aborted to have it taken"
        return State(Phase.ABORTED, text)
    instrument = Instrument("", "", copies=False) if complete else identify(run)
    wanted = tuple(complete or instrument.complete)
    times = {name: status for name in wanted if (status := _file(run / name)) is not None}
    late = [name for name in wanted if name not in times] if complete and complete_all else []
    changed = [_changed(status, now) for status in times.values()]
    if late and not (changed and 0 < complete_timeout <= now - min(changed)):
        return _unfinished(run, instrument, f"no {_listed(late, 'and no')} yet", names, now)
    if not times:
        return _unfinished(run, instrument, f"no {' or '.join(wanted)} yet", names, now)
    finished_at = max(changed)
    guessed = instrument.copies is None and COPY_COMPLETE not in times
    if guessed:
        settle = max(settle, QUIET_SECONDS)
    if settle > 0:
        last, path = max(_top_changes(run, times, names, now))
        if now - last < settle:
            text = f"{path} changed {_ago(now - last)} ago; a run settles for {_ago(settle)}"
            if guessed:
                whose = f"the {instrument.model}" if instrument.model else "an unknown instrument"
                text += f", as {whose} may copy without {COPY_COMPLETE}; set complete if not so"
            return State(Phase.NOT_SETTLED, text, finished_at, instrument.notes)
    there = f"{next(iter(times))} is there"
    lacks = ""
    if late:
        when = f"within {_ago(complete_timeout)} (complete_timeout)"
        lacks = f"{there}, and {_listed(late, 'and')} did not come {when}"
    return State(Phase.FINISHED, lacks or there, finished_at, instrument.notes, lacks)


def _listed(names: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _unfinished(
    run: Path, instrument: Instrument, missing: str, names: set[str], now: float
) -> State:
    called = next((name for name in _CALLED if name in names), None)
    if called is None:
        return State(Phase.IN_PROGRESS, missing, notes=instrument.notes)
    status = _file(run / called)
    age = now - _changed(status, now) if status is not None else 0.0
    text = f"{called} is there, but {missing}"
    if instrument.model:
        text += f": the {instrument.model} still copies"
    if age > _OVERDUE:
        text += f", for {_ago(age)} now; if that file never comes, set complete"
    return State(Phase.COPYING, text, notes=instrument.notes)


def _file(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _top_changes(
    run: Path, completion: dict[str, os.stat_result], names: set[str], now: float
) -> Iterator[tuple[float, str]]:
    """The time of the last change and the path of each completion file, and of each entry at the
    top of the run and in InterOp."""
    for name, status in completion.items():
        yield _changed(status, now), name
    paths = list(names)
    if "InterOp" in names:
        try:
            with os.scandir(run / "InterOp") as scan:
                paths += [f"InterOp/{item.name}" for item in scan]
        except (FileNotFoundError, NotADirectoryError):
            pass
    for path in paths:
        try:
            yield _changed((run / path).stat(), now), path
        except FileNotFoundError:  # gone, or a link that leads nowhere
            continue


def _changed(status: os.stat_result, now: float) -> float:
    """The time of a file. The clock of an instrument may be ahead, so that its runs would not
    settle for as long; then the time of the file system counts."""
    return status.st_mtime if status.st_mtime <= now else min(status.st_ctime, status.st_mtime)


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{max(seconds, 0):.0f} s"
