"""What was measured: a line of JSON each, appended, so that rounds of different times add up."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from joblogs import MOVING
from servers import file_system


@dataclass(frozen=True)
class Row:
    """One command that was measured.

    Seconds and bytes. ``peak`` is the memory of all processes together, ``largest`` that of the
    largest one; ``stages`` and ``job_peak`` are Waybill's own figures. ``problem`` says what is
    wrong with the result; such a row is never counted as a time. ``load`` (of one minute) and
    ``calibration`` (a loop that is always the same) tell how busy the machine was just before.
    """

    time: str
    round: int
    workload: str
    tool: str
    cell: str
    latency_ms: float
    scale: float
    files: int
    bytes: int
    command: str
    version: str
    machine: str
    wall: float
    cpu: float
    peak: int
    largest: int
    server_cpu: float
    relay_cpu: float
    calibration: float
    load: float
    problem: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    job_peak: int = 0

    @property
    def moving(self) -> float:
        """Wall seconds of Waybill's jobs that handle bytes, summed."""
        return sum(self.stages.get(name, 0.0) for name in MOVING)


def append(path: Path, row: Row) -> None:
    """Add a row to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(row)) + "\n")


def load(path: Path, scale: float) -> list[Row]:
    """The rows of one scale; none where there is no file."""
    if not path.exists():
        return []
    lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    rows = [Row(**json.loads(line)) for line in lines]
    return [row for row in rows if row.scale == scale]


def machine(folder: Path, buckets: Path) -> str:
    """What is measured on: processor, memory, system, Python, file systems of the folders."""
    cpu = "processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    linux = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB of memory, Linux {linux},"
        f" Python {platform.python_version()}, files on {file_system(folder)},"
        f" buckets on {file_system(buckets)}"
    )
