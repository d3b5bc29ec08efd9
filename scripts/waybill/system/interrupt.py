"""Ends a run when SIGINT, SIGTERM or SIGHUP asks for it, at any moment and in bounded time.

Snakemake's own way does neither: its handler of SIGTERM takes a lock that the main thread may hold,
and it waits for jobs as long as they take. Here the process ends its jobs, gives back Snakemake's
lock and exits; what the jobs have finished is in their journals. Nothing unwinds, so nothing is
printed but one line.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from waybill.model.errors import EXIT_INTERRUPTED

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

JOBS_SECONDS = 2.0  # for jobs to end by themselves; then they are killed
KILLED_SECONDS = 1.0  # for killed jobs to end; they may wait for a disk
CLUSTER_SECONDS = 20.0  # for the executor of a cluster to cancel its jobs
STUCK_SECONDS = 0.5  # for the main thread to react to a signal
SPARE_SECONDS = 1.0  # for all other steps, which may wait for a file system
POLL_SECONDS = 0.02


def exit_code(number: int) -> int:
    """The exit code of a process that ``number`` has ended."""
    return EXIT_INTERRUPTED if number == signal.SIGINT else 128 + number


class Jobs(Protocol):
    """What ends the jobs of a run, and gives back what it holds."""

    @property
    def jobs_are_local(self) -> bool: ...

    def cancel_jobs(self) -> None: ...

    def unlock(self) -> None: ...

    def silence(self) -> None: ...


class Interrupts:
    """Handles the signals of Snakemake's main process. A signal that is ignored, as under
    ``nohup``, or that has another handler, is left alone."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._verdict: int | None = None
        self._line = "waybill: interrupted; run the same command to go on"
        self._ender: int | None = None  # the thread that ends the process
        self._number = 0
        self._begun = threading.Event()
        self._numbers: list[int] = []
        if threading.current_thread() is not threading.main_thread():
            return
        before = (signal.SIG_DFL, signal.default_int_handler)
        self._numbers = [n for n in NUMBERS if signal.getsignal(n) in before]
        self.install()
        # The system writes a signal into this pipe also while the main thread is busy or stuck.
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()

    def install(self) -> None:
        """Take the signals, once more when Snakemake has taken SIGTERM for itself."""
        for number in self._numbers:
            signal.signal(number, self._handle)

    def settle(self, code: int, line: str = "") -> None:
        """Note that the run has ended: from now on a signal exits with ``code`` and ``line``."""
        self._verdict, self._line = code, line

    def _handle(self, number: int, _frame: object) -> None:
        if self._ender == threading.get_ident():  # a second signal
            return
        self._end(number)
        self._give_up(number)  # another thread ends the process; Snakemake must not go on meanwhile

    def _watch(self, reader: int) -> None:
        while True:
            for number in os.read(reader, 64):
                if number in self._numbers:
                    if not self._begun.wait(STUCK_SECONDS):
                        self._end(number)
                    self._give_up(number)

    def _give_up(self, number: int) -> NoReturn:
        """Exit when the thread that ends the process has not done so in time."""
        cancel = 0.0 if self._jobs.jobs_are_local else CLUSTER_SECONDS
        time.sleep(cancel + JOBS_SECONDS + KILLED_SECONDS + SPARE_SECONDS)
        os._exit(exit_code(number))

    def _end(self, number: int) -> None:
        """End the process; returns when another thread does it already."""
        self._ender = self._ender or threading.get_ident()
        if self._ender != threading.get_ident():
            return
        self._begun.set()
        try:
            self._jobs.silence()
            self._end_jobs()
            self._jobs.unlock()
            _say(self._line)
        finally:
            os._exit(exit_code(number) if self._verdict is None else self._verdict)

    def _end_jobs(self) -> None:
        if not self._jobs.jobs_are_local:
            canceller = threading.Thread(target=self._jobs.cancel_jobs, daemon=True)
            canceller.start()
            canceller.join(CLUSTER_SECONDS)
        end_children(JOBS_SECONDS, KILLED_SECONDS)


def end_children(seconds: float, killed_seconds: float) -> None:
    """End all processes that this one has started, and theirs: with SIGTERM, and after ``seconds``
    with SIGKILL. Returns when none is left, or ``killed_seconds`` later."""
    import psutil  # Snakemake has it loaded

    def living() -> list[Any]:
        found = []
        for child in own.children(recursive=True):
            with suppress(psutil.Error):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
        return found

    own = psutil.Process()
    begun, told, none = time.monotonic(), set(), 0
    while none < 2:  # a thread may have been about to start one
        left = living()
        none = 0 if left else none + 1
        late = time.monotonic() - begun
        if late > seconds + killed_seconds:
            return
        for child in left:
            with suppress(psutil.Error):
                if late > seconds:
                    child.kill()
                elif child not in told:
                    told.add(child)
                    child.terminate()
        time.sleep(POLL_SECONDS)


def _say(line: str) -> None:
    """Write a line to standard error. It bypasses Python's buffer, because the thread may have been
    interrupted while it was writing."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode() if line else b"")
