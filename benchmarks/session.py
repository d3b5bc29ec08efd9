"""One tool on one workload, from an empty bucket on: the cells in the order they build on."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import joblogs
from meter import Cost, calibrate, measure
from raw import Row
from servers import Latency, Server, environment, file_system, program
from tools import BUCKET, CELLS, OURS, TOOLS, Place, rclone_settings, shown
from workloads import Tree, difference, one_changed, walk

PROOF = "proof"  # no tool: what people add to the peers
PROOF_CELLS = ("sums", "check")
MANY_FILES = 1_000
MANIFESTS = "manifests/"  # what Waybill publishes beside the data


class Task(NamedTuple):
    """What to measure: ``cells`` of one tool on one workload, with this latency."""

    tool: str
    workload: str
    latency_ms: float
    cells: tuple[str, ...]


@dataclass
class Session:
    """Runs the commands of one task; ``rows`` gets what they cost."""

    task: Task
    tree: Tree
    base: Path
    buckets: Path
    round: int
    scale: float
    machine: str
    version: str
    limit: float

    @property
    def bucket(self) -> Path:
        return self.buckets / BUCKET / "data"

    def run(self) -> Iterator[Row]:
        """Measure; the folders ``base`` and ``buckets`` are made for it.

        A folder of many files stays: ext4 looks at every file that was removed in the last minutes
        when it makes a new one, which would cost the next tool seconds.
        """
        for folder in (self.base / "work", self.base / "target", self.buckets / BUCKET):
            folder.mkdir(parents=True)
        try:
            with contextlib.ExitStack() as stack:
                if self.task.tool == PROOF:
                    shutil.copytree(self.tree.folder, self.bucket)
                log = self.base / "server.log"
                self.server = stack.enter_context(Server(program("rclone"), self.buckets, log))
                self.relay: Latency | None = None
                if self.task.latency_ms:
                    log = self.base / "relay.log"
                    self.relay = stack.enter_context(
                        Latency(self.server, self.task.latency_ms, log)
                    )
                yield from self._proof() if self.task.tool == PROOF else self._cells()
        finally:
            if file_system(self.buckets) == "tmpfs" or len(self.tree.sizes) < MANY_FILES:
                shutil.rmtree(self.buckets)
            if len(self.tree.sizes) < MANY_FILES:
                shutil.rmtree(self.base)

    def _cells(self) -> Iterator[Row]:
        tool = TOOLS[self.task.tool]
        place = Place(str(self.tree.folder), f"{self.base}/target", f"{self.base}/work")
        tool.prepare(place)
        said = Place("DATA", "TARGET", "WORK")
        settings = tool.settings((self.relay or self.server).url)
        last = max(CELLS.index(cell) for cell in self.task.cells)
        for cell in CELLS[: last + 1]:
            if cell != "upload" and cell not in self.task.cells:
                continue
            before = {} if cell == "upload" else self._objects()
            with contextlib.ExitStack() as stack:
                changed = ""
                if cell == "changed":
                    time.sleep(2)  # times of objects are whole seconds
                    changed = stack.enter_context(one_changed(self.tree))
                command = tool.command(cell, place)
                words = shown(tool.command(cell, said))
                row = self._measure(cell, command, words, settings)
                problem = row.problem or self._wrong(cell, before, changed)
            row = self._with_jobs(row, problem)
            if cell in self.task.cells:
                yield row
            if problem and cell == "upload":
                return

    def _proof(self) -> Iterator[Row]:
        """SHA-256 of the tree as people take it, and all objects fetched and held against it."""
        sums = self.base / "work" / "sums"
        data = self.tree.folder
        sums, data = shlex.quote(f"{self.base}/work/sums"), shlex.quote(str(self.tree.folder))
        find = "cd {} && find . -type f -printf '%P\\0' | xargs -0 sha256sum > {}"
        shell = ["sh", "-c", find.format(data, sums)]
        yield self._measure("sums", shell, find.format("DATA", "SUMS"), {})
        flags = ["--download", "--checkers=32"]
        command = [program("rclone"), "checksum", "sha256", sums, f"s3:{BUCKET}/data", *flags]
        told = shown([*command[:3], "SUMS", *command[4:]])
        yield self._measure("check", command, told, rclone_settings(self.server.url))

    def _measure(self, cell: str, command: list[str], told: str, settings: dict[str, str]) -> Row:
        os.sync()
        calibration, load = calibrate(), os.getloadavg()[0]
        front = self.relay or self.server
        started = [self.server.cpu(), self.relay.cpu() if self.relay else 0.0]
        log = self.base / f"{cell}.log"
        cost = measure(
            command, environment(front.url) | settings, log, folder=self.base, limit=self.limit
        )
        ended = [self.server.cpu(), self.relay.cpu() if self.relay else 0.0]
        return Row(
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            round=self.round,
            workload=self.task.workload,
            tool=self.task.tool,
            cell=cell,
            latency_ms=self.task.latency_ms,
            scale=self.scale,
            files=len(self.tree.sizes),
            bytes=self.tree.bytes,
            command=told,
            version=self.version,
            machine=self.machine,
            wall=round(cost.wall, 3),
            cpu=round(cost.cpu, 3),
            peak=cost.peak,
            largest=cost.largest,
            server_cpu=round(ended[0] - started[0], 3),
            relay_cpu=round(ended[1] - started[1], 3),
            calibration=round(calibration, 4),
            load=round(load, 2),
            problem=_failed(cost, log),
        )

    def _with_jobs(self, row: Row, problem: str) -> Row:
        if row.tool not in OURS:
            return dataclasses.replace(row, problem=problem)
        at = "back" if row.cell == "download" else "there"
        jobs = joblogs.read(self.base / "work" / at / "results" / "bench")
        return dataclasses.replace(row, problem=problem, stages=jobs.stages, job_peak=jobs.peak)

    def _objects(self) -> dict[str, tuple[int, int, int]]:
        """What tells whether an object was written again."""
        return {
            path: (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            for path, stat in walk(self.bucket)
            if not path.startswith(MANIFESTS)
        }

    def _wrong(self, cell: str, before: dict[str, tuple[int, int, int]], changed: str) -> str:
        """What is wrong with the result of a cell, in words; empty when nothing is."""
        if cell == "download":
            return difference(self.tree, self.base / "target", leave_out=MANIFESTS)
        if wrong := difference(self.tree, self.bucket, leave_out=MANIFESTS):
            return wrong
        if cell == "upload":
            return ""
        written = {path for path, known in self._objects().items() if before.get(path) != known}
        if cell == "nothing":
            return f"{len(written):,} objects were written again" if written else ""
        if written != {changed}:
            return f"{len(written):,} objects were written instead of the one that changed"
        same = (self.bucket / changed).read_bytes() == (self.tree.folder / changed).read_bytes()
        return "" if same else "the changed file has not arrived"


def _failed(cost: Cost, log: Path) -> str:
    if cost.code == 0:
        return ""
    last = subprocess.run(["tail", "-n", "3", str(log)], capture_output=True, check=True).stdout
    text = " ".join(last.decode(errors="replace").split())
    return f"ended with {cost.code}: {text[-300:]}"
