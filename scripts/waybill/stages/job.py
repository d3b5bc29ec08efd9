"""Runs one stage inside a rule script: logging, signals, and errors without a traceback.

The log of the job gets everything; standard error gets only what a user must read. A failure is
recorded (``results.failures``) before the job ends, so that the last lines of the run can name it.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from waybill.model.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    ReportedError,
    WaybillError,
    one_line,
)
from waybill.model.failure import Failure
from waybill.model.transfer import Transfer
from waybill.results import failures, journal, seals, state
from waybill.results.layout import Layout
from waybill.stages.task import Task
from waybill.system import installed
from waybill.system.collector import spare_imports
from waybill.system.interrupt import NUMBERS, exit_code

log = logging.getLogger("waybill")

LATENCY_SECONDS = 60.0  # how late a shared file system may show what another node wrote
PATIENCE_SECONDS = 5.0  # how late it may show the seal of a file that it shows
_POLL_SECONDS = 0.5
OPEN_FILES = 1_024

_STARTED = time.monotonic()


def run(
    snakemake: Any,
    stage: Callable[[Task], None],
    layout: Callable[[Path], Layout] = Layout,
    *,
    name: str = "",
) -> None:
    """Run ``stage`` for the job of a rule script, and end the process as it went. ``name`` is that
    of the rule, which a host workflow may call otherwise.

    A job about a dataset gets the transfer as that dataset sees it; one with a ``layout`` of its
    own, as a verification has, sees to that itself.
    """
    transfer = Transfer(**snakemake.config["waybill"][snakemake.wildcards.transfer])
    dataset, batch = (snakemake.wildcards.get(name, "") for name in ("dataset", "batch"))
    task = Task(transfer, layout(transfer.results), name or snakemake.rule, dataset, batch)
    names = (transfer.name, task.stage, task.batch)
    _log_to(Path(snakemake.log[0]), ":".join(name for name in names if name))
    _end_on_signals()
    _allow_open_files()
    spare_imports()
    try:
        installed.check_job()
        failures.write(task.failure_record, [])
        if dataset and layout is Layout:
            task = replace(task, transfer=_view(task))
        seals.check(task.layout, map(Path, snakemake.input), patience=PATIENCE_SECONDS)
        stage(task)
        _log_cost()
    except WaybillError as error:
        _fail(task, error)
    except OSError as error:
        _fail(task, WaybillError(_os_error(error, task.layout.root)))
    except KeyboardInterrupt:
        _end(EXIT_INTERRUPTED)
    except BaseException as error:
        log.exception("unexpected error")
        what = f"unexpected error, {type(error).__name__}: {error}"
        _fail(task, WaybillError(f"{what}; please report it with {snakemake.log[0]}"))


def _view(task: Task) -> Transfer:
    """The transfer as the dataset of a job sees it. Raises WaybillError when the state does not
    show in time where that one lies: without it the job would work on the wrong folder."""
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
    """What the job cost, as the last line of its log. (Snakemake's ``benchmark`` asks the system
    for it all along and takes 20 ms of the main process for each job.)"""
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
        with suppress(OSError):  # on a full disk the line above has to do
            failures.write(task.failure_record, [failure])
    _end(error.exit_code)


def _end(code: int) -> NoReturn:
    """End at once: requests in other threads are not waited for, the journal knows them. A signal
    may come in the middle of a write, which then cannot be ended."""
    try:
        for end in (journal.flush, logging.shutdown, sys.stdout.flush, sys.stderr.flush):
            with suppress(OSError, RuntimeError, ValueError):
                end()
    finally:
        os._exit(code)


def _allow_open_files() -> None:
    """Connections and files that wait to be on disk are more than some systems allow at first."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        if allowed < OPEN_FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))


def _end_on_signals() -> None:
    """End on a signal, unless it is ignored: by ``nohup``, or an interrupt by who started the job
    and will end it (``Run._take_signals``)."""
    for number in NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: _end(exit_code(number)))


def _os_error(error: OSError, results: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        why = os.strerror(error.errno)
        return f"{results}: the results folder is full ({why}); make room and run again"
    return f"{error.filename or results}: {error.strerror or error}"


class _OneLine(logging.Formatter):
    """What a person is told: a traceback is in the log of the job."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        return one_line(self.formatMessage(record))


def _log_to(path: Path, name: str) -> None:
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if os.environ.get("WAYBILL_DEBUG") else logging.INFO)
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(_OneLine(f"waybill: {name}: %(message)s"))
    console.addFilter(lambda record: record.name != "asyncio")  # which tells of its own insides
    root.addHandler(console)
    try:
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        log.error("%s", _os_error(error, path))
        _end(EXIT_FAILED)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(file)
    for noisy in ("botocore", "boto3", "urllib3", "s3transfer"):  # their debug logs hold headers
        logging.getLogger(noisy).setLevel(logging.WARNING)
