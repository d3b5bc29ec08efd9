"""A thread in which a job says how far it is, while it works, and the line that it leaves."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

from waybill.model.units import format_duration
from waybill.model.verbs import VERIFY, verb_of
from waybill.results import jobs, run_progress
from waybill.results.forecast import of_job
from waybill.results.jobs import WINDOW_SECONDS, Job, Samples
from waybill.stages.task import Task
from waybill.system.meter import METER, Counts, Meter

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0  # between two looks at the counts
SLOWER = 60  # a job writes no more often than after this share, 1/60, of its age ...
SLOWEST_SECONDS = 2.0  # ... but at least after so many seconds
LINE_SECONDS = 30.0
END_SECONDS = 1.0  # how long the end of a job waits for a write that is under way


class Reporter:
    """Writes the progress of one job (``results.jobs``), from the counts of its process. ``clock``
    gives seconds since the epoch, and can be replaced in tests. With ``says`` the job prints a line
    every ``LINE_SECONDS``: it has a log of its own, which the main process does not write to."""

    def __init__(
        self,
        task: Task,
        meter: Meter = METER,
        clock: Callable[[], float] = time.time,
        *,
        says: bool = False,
    ) -> None:
        self._layout, self._meter, self._clock = task.layout, meter, clock
        self._verb = verb_of([task.transfer])
        self._says, self._said = says, clock()
        self._job = Job(
            stage=task.stage,
            dataset=task.dataset,
            batch=task.batch,
            host=os.uname().nodename,
            process=os.getpid(),
            cluster_job=os.environ.get("SLURM_JOB_ID", ""),
            begun=clock(),
        )
        self._samples = Samples()
        self._recent: deque[tuple[float, int, int]] = deque([(self._job.begun, 0, 0)])
        self._written = 0.0
        self._is_shown = False
        self._ended = Event()
        self._lock = Lock()  # held while files are written

    def begin(self) -> None:
        """Begin to write."""
        Thread(target=self._work, name="progress", daemon=True).start()

    def end(self, code: int) -> None:
        """Write the last counts of the job, and the line that stays. It may be called in a signal
        handler, and more than once."""
        if self._ended.is_set():
            return
        self._ended.set()
        held = self._lock.acquire(timeout=END_SECONDS)
        try:
            self.look()
            self._job.code = code
            with suppress(OSError):
                jobs.append(self._layout, self._job)
                run = run_progress.read(self._layout)
                is_counted = run.begun and not run.ended  # not in a host workflow
                if is_counted and (self._job.files_total or self._job.hash_total):
                    jobs.write_progress(self._layout, self._job)
                elif self._is_shown:
                    jobs.drop_progress(self._layout, self._job.name)
        finally:
            if held:
                self._lock.release()

    def look(self) -> Job:
        """Take the counts as they are now."""
        now, counts, job = self._clock(), self._meter.look(), self._job
        self._samples.add(
            max(0.0, now - job.begun), counts.moved - job.moved, counts.hashed - job.hashed
        )
        self._recent.append((now, counts.moved, counts.hashed))
        while len(self._recent) > 2 and self._recent[1][0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        since, moved, hashed = self._recent[0]
        seconds = max(now - since, 1e-9)
        job.time = now
        job.rate = round(max(0, counts.moved - moved) / seconds)
        job.hash_rate = round(max(0, counts.hashed - hashed) / seconds)
        _take(job, counts)
        job.every, job.moves, job.hashes = (
            self._samples.every, self._samples.moves, self._samples.hashes,
        )  # fmt: skip
        return job

    def _say(self, job: Job) -> None:
        from waybill.stages.announcer import say

        verb = VERIFY if job.stage == "verify_batch" else self._verb
        age = f"at work for {format_duration(job.time - job.begun)}"
        name = "/".join(filter(None, (job.dataset, job.batch)))
        say(f"{job.stage} {name}: {'; '.join(of_job(job, verb.doing)) or age}")

    def _work(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            with self._lock:
                if self._ended.is_set():
                    return
                job = self.look()
                if self._says and job.time - self._said >= LINE_SECONDS:
                    self._said = job.time
                    self._say(job)
                pause = min(SLOWEST_SECONDS, (job.time - job.begun) / SLOWER)
                if job.time - self._written < pause:
                    continue
                self._written, self._is_shown = job.time, True
                try:
                    jobs.write_progress(self._layout, job)
                except OSError as error:
                    log.info("the progress cannot be written: %s", error)


def _take(job: Job, counts: Counts) -> None:
    job.files, job.files_total = counts.files, counts.files_total
    job.moved, job.there, job.bytes_total = counts.moved, counts.there, counts.bytes_total
    job.hashed, job.hash_total = counts.hashed, counts.hash_total
    job.repeats = counts.repeats
    job.large = [(file.path, file.done, file.size) for file in counts.large]
