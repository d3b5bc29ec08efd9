"""The log folder of ``s3-upload monitor``: whether it can be used, its lock, and a log of each day.

Cron starts a process for each pass, so no process lives until midnight to rename its log. Instead,
the name of a log has the day of the pass, and every pass removes old logs.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from waybill.cli.s3_upload.arguments import WORDS_OF_MONITOR
from waybill.cli.terminal import Screen
from waybill.cli.words import translated
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.system.locks import Lock, holder, sign, try_lock

LOCK = "s3_upload.lock"
LOG = "s3_upload.log"
KEPT_DAYS = 5

_FORMAT = "%(asctime)s [%(module)s] %(levelname)s: %(message)s"  # that of the seed

log = logging.getLogger(__name__)


class _Formatter(logging.Formatter):
    """Names a module of this command as people search for it: ``[s3_upload_monitor]``. Settings are
    named as the configuration of the monitor has them."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name.startswith(f"{__package__}.") and not record.module.startswith("s3_upload_"):
            record.module = f"s3_upload_{record.module}"
        return translated(super().format(record), WORDS_OF_MONITOR)


def prepare(folder: Path) -> None:
    """Make the log folder where it is missing. Raises WaybillError, exit code 2, when it or the
    nearest folder above it cannot be written."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    advice = "give write permission or name another log_dir"
    if not nearest.is_dir():
        text = f"log_dir {folder}: {nearest} is not a folder; name another log_dir"
        raise WaybillError(text, exit_code=EXIT_CONFIG)
    if not os.access(nearest, os.W_OK | os.X_OK):
        text = f"log_dir {folder}: no permission to write to {nearest}; {advice}"
        raise WaybillError(text, exit_code=EXIT_CONFIG)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"log_dir {folder}: cannot be made: {error.strerror}; {advice}"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[str | None]:
    """Hold the lock of the monitor; it ends with this process in any case. Gives the name of the
    holder when another process has the lock, else None. Raises WaybillError when the file cannot be
    locked."""
    path = folder / LOCK
    try:
        # Children must not inherit it: a child of a killed monitor would keep the lock.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WaybillError(f"{path}: {error.strerror}", exit_code=EXIT_CONFIG) from None
    try:
        found = try_lock(descriptor)
        if found is Lock.BUSY:
            yield holder(descriptor) or "no name in it"
            return
        if found is Lock.UNSUPPORTED:
            text = f"{path}: cannot be locked; name a log_dir on a file system that has locks"
            raise WaybillError(text, exit_code=EXIT_CONFIG)
        now = datetime.now().astimezone()
        sign(
            descriptor,
            f"file lock acquired from running upload at {now:%H:%M:%S} from process {os.getpid()}",
        )
        try:
            yield None
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def logging_to(folder: Path, level: int, screen: Screen) -> Iterator[None]:
    """Log to the file of today and to the screen. Raises WaybillError when the file cannot be
    written."""
    today = datetime.now().astimezone().date()
    path = folder / f"{LOG}.{today.isoformat()}"
    try:
        file = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise WaybillError(f"{path}: {error.strerror}", exit_code=EXIT_CONFIG) from None
    logging.raiseExceptions = False  # a full disk is no reason for a traceback on each line
    root = logging.getLogger("waybill")
    handlers = [file, _OnScreen(screen)]
    root.setLevel(level)
    for handler in handlers:
        handler.setFormatter(_Formatter(_FORMAT))
        root.addHandler(handler)
    try:
        _remove_old(folder, today)
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


class _OnScreen(logging.Handler):
    """Sends warnings and errors to standard error, all else to standard output."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        show = self._screen.note if record.levelno >= logging.WARNING else self._screen.line
        show(self.format(record))


def _remove_old(folder: Path, today: date) -> None:
    for path in sorted(folder.glob(f"{LOG}.*")):
        try:
            day = date.fromisoformat(path.name.removeprefix(f"{LOG}."))
        except ValueError:
            continue
        if (today - day).days > KEPT_DAYS:
            try:
                path.unlink()
            except OSError as error:
                log.warning("%s: old log cannot be removed: %s", path, error.strerror)
