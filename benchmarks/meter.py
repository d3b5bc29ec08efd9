"""What a command costs: wall, CPU and memory, and how busy the machine was meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SAMPLE_SECONDS = 0.25
CALIBRATION_STEPS = 2_000_000

# A small process of its own starts the command: its children are that command alone, and what a
# child inherits before its exec counts as its memory.
_METER = """
import json, os, subprocess, sys, time
begun = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
_, status, used = os.wait4(process.pid, 0)
wall = time.monotonic() - begun
code = os.waitstatus_to_exitcode(status)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, code]))
"""


class Cost(NamedTuple):
    """One command with all that it has started: wall seconds, CPU seconds, the most memory (bytes)
    of all processes together and of the largest one, and the exit code."""

    wall: float
    cpu: float
    peak: int
    largest: int
    code: int


def measure(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    folder: Path | None = None,
    limit: float | None = None,
) -> Cost:
    """Run ``command`` to its end; what it says is appended to ``log``.

    After ``limit`` seconds it is killed with all that it has started; the code is then -9.
    """
    with log.open("ab") as said:
        meter = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _METER, *command],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        memory = Memory(meter.pid)
        memory.start()
        try:
            told, _ = meter.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(meter.pid, signal.SIGKILL)
            meter.wait()
            if meter.stdout is not None:
                meter.stdout.close()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            told = json.dumps([limit, 0.0, 0, -signal.SIGKILL]).encode()
        finally:
            peak = memory.end()
    wall, cpu, largest, code = json.loads(told)
    return Cost(wall, cpu, peak, largest, code)


class Memory(threading.Thread):
    """Samples what all that a process has started takes, shared pages counted once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_bytes, _descendants(self._pid))))

    def end(self) -> int:
        """Stop; returns the peak in bytes."""
        self._ended.set()
        self.join()
        return self.peak


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, open_ = [], children.get(root, [])
    while open_:
        found.append(open_.pop())
        open_ += children.get(found[-1], [])
    return found


def _bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def cpu_of(pid: int) -> float:
    """CPU seconds that a running process has used, without those of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calibrate() -> float:
    """Seconds of a loop that is always the same: more than usual means that others are at work."""
    begun = time.perf_counter()
    total = 0
    for i in range(CALIBRATION_STEPS):
        total += i * i
    return time.perf_counter() - begun
