"""Runs one stage inside a rule script: logging, signals, and errors without a traceback.

The log of the job gets everything; standard error gets only what a user must read. A failure is
recorded (``results.failures``) before the job ends, so that the last lines of the run can name it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import resource
import signal
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from waybill.model.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ReportedError,
    WaybillError,
    describe,
)
from waybill.model.failure import Failure
from waybill.model.secrets import masked
from waybill.model.transfer import Transfer
from waybill.results import failures, journal, seals, state
from waybill.results.layout import Layout
from waybill.stages import console
from waybill.stages.reporter import Reporter
from waybill.stages.task import Task
from waybill.system import installed
from waybill.system.collector import spare_imports
from waybill.system.interrupt import NUMBERS, exit_code

log = logging.getLogger("waybill")

LATENCY_SECONDS = 60.0  # how late a shared file system may show what another node wrote
PATIENCE_SECONDS = 5.0  # how much later than a file it may show the seal of that file
_POLL_SECONDS = 0.5
OPEN_FILES = 1_024

_STARTED = time.monotonic()
_at_end: list[Callable[[int], None]] = []  # called with the exit code when the job ends early


def run(
    snakemake: Any,
    stage: Callable[[Task], None],
    layout: Callable[[Path], Layout] = Layout,
    *,
    name: str = "",
) -> None:
    """Run ``stage`` for the job of a rule script. If it fails, end the process with its exit code.
    ``name`` is the name of the rule; a host workflow may give the rule another name.

    A job of a dataset gets the transfer with the folder and prefix of this dataset. A job with
    another ``layout``, such as that of a verification, chooses them itself.
    """
    transfer = Transfer.of_jobs(snakemake.config["waybill"][snakemake.wildcards.transfer])
    of = snakemake.wildcards
    dataset, *about = (getattr(of, key, "") for key in ("dataset", "batch", "path"))
    task = Task(transfer, layout(transfer.results), name or snakemake.rule, dataset, *about)
    names = (transfer.name, task.stage, task.batch or task.path)
    _log_to(Path(snakemake.log[0]), ":".join(name for name in names if name))
    _end_on_signals()
    _leave_terminal()
    _allow_open_files()
    spare_imports()
    reporter = Reporter(task, says=snakemake.config.get("waybill_alone", False))
    _at_end.append(reporter.end)
    try:
        installed.check_job()
        reporter.begin()
        failures.write(task.failure_record, [])
        if dataset and layout is Layout:
            task = replace(task, transfer=_view(task))
        own = (Path(path) for path in snakemake.input)  # a host workflow may add others
        own = [path for path in own if path.is_relative_to(task.layout.root)]
        seals.check(task.layout, own, patience=PATIENCE_SECONDS)
        stage(task)
        reporter.end(EXIT_OK)
        _log_cost()
    except WaybillError as error:
        _fail(task, error)
    except OSError as error:
        _fail(task, WaybillError(describe(error, task.layout.root)))
    except KeyboardInterrupt:
        _end(EXIT_INTERRUPTED)
    except BaseException as error:
        if told := _told(error, task):
            _fail(task, told)
        log.exception("unexpected error")
        what = f"unexpected error, {type(error).__name__}: {error}"
        _fail(task, WaybillError(f"{what}; please report it with {snakemake.log[0]}"))


def _told(error: BaseException, task: Task) -> WaybillError | None:
    """An error of boto3 or of this machine that no stage has told, in words; None for a mistake in
    Waybill."""
    if isinstance(error, MemoryError):
        return WaybillError("the memory is used up; give the job more, or set `threads` lower")
    if isinstance(error, Exception) and (found := sys.modules.get("waybill.s3.errors")):
        return found.explain(error, task.transfer) if found.is_of_sdk(error) else None
    return None


def _view(task: Task) -> Transfer:
    """The transfer with the folder and prefix of the job's dataset. The state names them; a shared
    file system may show it late. Raises WaybillError when it does not name the dataset in time,
    because the job would work on the wrong folder."""
    end = time.monotonic() + LATENCY_SECONDS
    while (place := state.read(task.layout).places.get(task.dataset)) is None:
        if time.monotonic() > end:
            raise WaybillError(
                f"{task.layout.state}: the dataset {task.dataset} is not to be seen in it after"
                f" {LATENCY_SECONDS:g} seconds; see to the file system and run again"
            )
        time.sleep(_POLL_SECONDS)
    return task.transfer.for_dataset(place.folder, place.prefix)


def _log_cost() -> None:
    """Write time, CPU time and memory of the job as the last line of its log. (Snakemake's
    ``benchmark`` measures all the time, and takes 20 ms of the main process for each job.)"""
    used = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.monotonic() - _STARTED
    cpu = used.ru_utime + used.ru_stime
    kib = used.ru_maxrss  # counts the parent's pages up to the exec
    if (status := Path("/proc/self/status")).exists():
        kib = int(re.findall(r"VmHWM:\s*(\d+)", status.read_text(encoding="utf-8"))[0])
    log.info("cost: %.2f s, CPU %.2f s, peak %.0f MiB", wall, cpu, kib / 1024)


def _fail(task: Task, error: WaybillError) -> NoReturn:
    if not isinstance(error, ReportedError):
        failure = Failure.of(error)
        log.error("%s", failure)
        with suppress(OSError):  # on a full disk there is only the line above
            failures.write(task.failure_record, [failure])
    _end(error.exit_code)


def _end(code: int) -> NoReturn:
    """End the process at once. Requests in other threads are not waited for: the journal has what
    is finished. A flush may fail, because a signal may interrupt a write."""
    last = (logging.shutdown, sys.stdout.flush, sys.stderr.flush)
    try:
        for end in (journal.flush, *(partial(end, code) for end in _at_end), *last):
            with suppress(OSError, RuntimeError, ValueError):
                end()
    finally:
        os._exit(code)


def _allow_open_files() -> None:
    """Raise the limit of open files: a job may have more connections and unfinished files open than
    some systems allow by default."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        if allowed < OPEN_FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))


def _end_on_signals() -> None:
    """End on a signal, unless it is ignored. ``nohup`` ignores SIGHUP. The main process makes its
    jobs ignore SIGINT and ends them itself (``Run._take_signals``)."""
    for number in NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: _end(exit_code(number)))


def _leave_terminal() -> None:
    """Give up the terminal: a job has nobody to ask. In a process group that is not the one in the
    foreground, a program that reads from the terminal would be stopped, and never end."""
    silent = os.open(os.devnull, os.O_RDONLY)
    if silent != 0:
        os.dup2(silent, 0)
        os.close(silent)
    if os.getsid(0) == os.getpid():  # it would hang up on all other processes of the session
        return
    with suppress(OSError):  # there is none
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.ioctl(terminal, termios.TIOCNOTTY)
        finally:
            os.close(terminal)


class _Masked(logging.Formatter):
    """Formats a record with its traceback, and without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _log_to(path: Path, name: str) -> None:
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if os.environ.get("WAYBILL_DEBUG") else logging.INFO)
    console.warn(root, f"waybill: {name}: ")
    try:
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        log.error("%s", describe(error, path))
        _end(EXIT_FAILED)
    file.setFormatter(_Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(file)
    for noisy in ("botocore", "boto3", "urllib3", "s3transfer"):  # their debug logs hold headers
        logging.getLogger(noisy).setLevel(logging.WARNING)
