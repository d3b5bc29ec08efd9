"""A thread of the main process that counts the jobs that have ended, and prints how far the run is.

The line is for logs and for terminals that Snakemake writes to: one plain line every
``LINE_SECONDS``. It is no verdict, so it does not begin like one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from threading import Event, Thread

from waybill.model.secrets import masked
from waybill.results import run_progress
from waybill.results.forecast import Expected, Forecast
from waybill.results.layout import Layout
from waybill.results.run_progress import RunProgress

FOLD_SECONDS = 2.0
LINE_SECONDS = 30.0
END_SECONDS = 5.0  # how long the end of the run waits for the thread, which may wait for a disk
PREFIX = "waybill progress: "


class Announcer:
    """Writes ``progress.json`` of each transfer during a run (``results.run_progress``). ``kind``
    is that of ``results.history``. A file that cannot be written ends nothing."""

    def __init__(
        self,
        layouts: Mapping[str, Layout],
        kind: str,
        *,
        verb: str,
        expected: Expected = lambda _: (0, 0),
    ) -> None:
        self._runs = {
            name: (layout, RunProgress(kind=kind, begun=time.time()))
            for name, layout in layouts.items()
            if layout.root.is_dir()
        }
        self._forecast = Forecast(
            (layout for layout, _ in self._runs.values()), verb, expected=expected
        )
        self._ended = Event()
        self._thread = Thread(target=self._work, name="announcer", daemon=True)

    def begin(self) -> None:
        """Count what a killed run has left, forget it, and begin."""
        for layout, run in self._runs.values():
            with contextlib.suppress(OSError):
                run_progress.fold(layout, RunProgress(), all_jobs=True)
                run_progress.write(layout, run)
        self._thread.start()

    def end(self) -> None:
        """Count all jobs; none is at work any more."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join(END_SECONDS)
        for layout, run in self._runs.values():
            run.ended, run.time = True, time.time()
            with contextlib.suppress(OSError):
                run_progress.fold(layout, run, all_jobs=True)

    def _work(self) -> None:
        due = time.monotonic() + LINE_SECONDS
        while not self._ended.wait(FOLD_SECONDS):
            for layout, run in self._runs.values():
                with contextlib.suppress(OSError):
                    run_progress.fold(layout, run)
            progress = self._forecast.look()
            if time.monotonic() >= due and not self._ended.is_set():
                due += LINE_SECONDS
                say(str(progress))


def say(text: str) -> None:
    """Print a line of progress to standard error, in one write: other threads print, too."""
    with contextlib.suppress(OSError):
        os.write(2, f"{PREFIX}{masked(text)}\n".encode(errors="backslashreplace"))
