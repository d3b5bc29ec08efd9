"""How far a run is, from what its jobs tell (``results.jobs``), on whatever node they are.

``progress.json`` holds what the jobs of a run have done that have ended, so that the folder
``progress`` does not fill up. The main process of the run writes it, and removes what it has
counted. It stays when the run has ended, until the next one begins.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from waybill.results import jobs
from waybill.results.jobs import Job
from waybill.results.layout import Layout
from waybill.system.files import write_atomic

MOVES = frozenset({"upload", "download", "first"})  # stages that move files
_RECENT = 3  # writes for which the jobs that were counted are named


@dataclass(slots=True)
class RunProgress:
    """What the jobs of a run have done that have ended. ``kind`` is that of ``results.history``.
    ``begun``, ``time`` (its last line) and ``first_move`` and ``last_move`` are seconds since the
    epoch; 0 where there was none. ``ended`` says that the run has ended. The counts are those of
    the jobs (``results.jobs``). ``undone`` are files and bytes that jobs have left, by
    ``dataset/batch``; ``stages`` are the stages of the jobs, and ``counted`` names those that were
    counted last, in several lists."""

    kind: str = ""
    begun: float = 0.0
    time: float = 0.0
    ended: bool = False
    files: int = 0
    moved: int = 0
    there: int = 0
    hashed: int = 0
    repeats: int = 0
    first_move: float = 0.0
    last_move: float = 0.0
    undone: dict[str, list[int]] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    counted: list[list[str]] = field(default_factory=list)

    def add(self, job: Job) -> None:
        """Count a job that has ended."""
        self.hashed += job.hashed
        self.repeats += job.repeats
        self.stages = sorted({*self.stages, job.stage})
        if job.stage not in MOVES and job.stage != "verify_batch":
            return
        self.files += job.files
        self.moved += job.moved
        self.there += job.there
        self.first_move = min(self.first_move or job.begun, job.begun)
        self.last_move = max(self.last_move, job.time)
        name = f"{job.dataset}/{job.batch}"
        left = [job.files_total - job.files, job.bytes_total - job.moved - job.there]
        if max(left) > 0:
            self.undone[name] = left
        else:
            self.undone.pop(name, None)


def read(layout: Layout) -> RunProgress:
    """What the ended jobs of the last run have done; nothing is known of a missing or damaged
    file."""
    try:
        found: Any = json.loads(layout.run_progress.read_bytes())
        return RunProgress(
            **{f.name: found[f.name] for f in fields(RunProgress) if f.name in found}
        )
    except (FileNotFoundError, ValueError, TypeError):
        return RunProgress()


def write(layout: Layout, run: RunProgress) -> None:
    """Write it in one step."""
    write_atomic(layout.run_progress, json.dumps(asdict(run), separators=(",", ":")).encode())


def fold(layout: Layout, run: RunProgress, *, all_jobs: bool = False) -> None:
    """Count the jobs that have ended since the last call, and remove their files. ``all_jobs``
    counts also those that say nothing about their end: they were killed, and leave their line in
    the log of jobs without an exit code."""
    done: dict[str, Job] = {}
    for job in jobs.in_progress(layout):
        if job.code is not None or all_jobs:
            done[job.name] = job
            run.add(job)
    if not (done or all_jobs or any(run.counted)):
        return
    # A reader that has seen the file of a job as well finds here that it was counted.
    run.counted = [[_attempt(job) for job in done.values()], *run.counted[: _RECENT - 1]]
    write(layout, run)
    for name, job in done.items():
        if job.code is None:
            jobs.append(layout, job)
        jobs.drop_progress(layout, name)


def look(layout: Layout) -> tuple[RunProgress, Mapping[str, Job]]:
    """What the ended jobs of the run have done, and the jobs at work by name."""
    working = {job.name: job for job in jobs.in_progress(layout)}
    run = read(layout)  # after the jobs: one that has ended meanwhile is in either
    counted = {name for names in run.counted for name in names}
    for name, job in list(working.items()):
        if job.code is not None or _attempt(job) in counted:
            del working[name]
            if _attempt(job) not in counted:
                run.add(job)
                run.counted.append([_attempt(job)])
    return run, working


def counted_batches(run: RunProgress, stages: Collection[str]) -> set[tuple[str, str]]:
    """Dataset and batch of the jobs of these stages that were counted last."""
    found = set()
    for name in (name for names in run.counted for name in names):
        stage, _, about = name.rpartition(" ")[0].removesuffix(".json").partition(".")
        if stage in stages:
            dataset, _, batch = about.partition("@")
            found.add((dataset, batch))
    return found


def _attempt(job: Job) -> str:
    return f"{job.name} {job.begun}"
