"""Kills: a signal, whom it meets, and when."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What Snakemake prints when a stage begins; "" is the beginning of the run itself.
STAGES = {
    "up": ["", "looking at both sides", "hashing batch", "comparing batch", "uploading batch",
           "gathering the plan", "assembling the manifest", "publishing the manifest", "summing up",
           "DAG of jobs will be updated", "Updating checkpoint dependencies"],
    "down": ["", "looking at both sides", "comparing batch", "downloading batch",
             "gathering the plan", "assembling the manifest", "summing up",
             "DAG of jobs will be updated", "Updating checkpoint dependencies"],
}  # fmt: skip
OPS = {
    "up": ["PutObject"] * 4 + ["UploadPart", "CompleteMultipartUpload", "ListObjectsV2"],
    "down": ["GetObject"] * 3 + ["ListObjectsV2"],
}


@dataclass(frozen=True)
class Shot:
    signal: signal.Signals
    aim: str  # "group", "process" (Snakemake alone), "job" (one of its children)
    when: str  # "stage", "time", "request"
    what: str  # of "stage" its words, of "request" the operation
    count: int  # the how many-th of these
    offset: float  # seconds after that

    def __str__(self) -> str:
        what = f"{self.count} {self.what!r} " if self.what else ""
        return f"{self.signal.name} {self.aim} at {self.when} {what}+{self.offset:.3f} s"


def draw(rng: random.Random, direction: str, *, one_job: bool) -> Shot:
    """A shot for a run of ``up`` or ``down``; most fall into the first second of a stage."""
    apart = ("hashing", "comparing")  # stages that are jobs of their own in the long chain alone
    stages = [s for s in STAGES[direction] if not (one_job and s.startswith(apart))]
    number = rng.choice(
        [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGINT]
    )
    aim = rng.choice(["group", "group", "process", "job"])
    if aim == "job":
        number = rng.choice([signal.SIGKILL, signal.SIGTERM])
    when = rng.choices(["stage", "request", "time"], [5, 2, 2])[0]
    offset = rng.random() ** 2
    if when == "stage":
        return Shot(number, aim, when, rng.choice(stages), rng.choice([1, 1, 1, 1, 2]), offset)
    if when == "request":
        return Shot(
            number, aim, when, rng.choice(OPS[direction]), rng.choice([1, 1, 2, 5]), offset / 20
        )
    return Shot(number, aim, when, "", 1, rng.uniform(0, 3))


class Shooter(threading.Thread):
    """Fires one shot at a running Snakemake; ``hit`` says whether there was somebody to hit."""

    def __init__(
        self, shot: Shot, process: Any, log: Path, requests: Callable[[], list[Any]]
    ) -> None:
        super().__init__(daemon=True)
        self.shot, self._process, self._log, self._requests = shot, process, log, requests
        self._begun = time.monotonic()
        self.over = threading.Event()
        self.hit = False

    def run(self) -> None:
        while not self._due():
            if self.over.wait(0.01):
                return
        if self.over.wait(self.shot.offset) or self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.shot.aim == "group":
                os.killpg(self._process.pid, self.shot.signal)
            elif self.shot.aim == "process":
                os.kill(self._process.pid, self.shot.signal)
            else:
                others = [p for p in group(self._process.pid) if p != self._process.pid]
                if not others:
                    return
                os.kill(max(others), self.shot.signal)
            self.hit = True

    def _due(self) -> bool:
        shot = self.shot
        if shot.when == "stage" and shot.what:
            with contextlib.suppress(FileNotFoundError):
                return self._log.read_bytes().count(shot.what.encode()) >= shot.count
            return False
        if shot.when == "request":
            return sum(r.op == shot.what for r in self._requests()) >= shot.count
        return True


def group(leader: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == leader and state != "Z":
                found.append(int(entry.name))
    return found
