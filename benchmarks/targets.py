"""Figures from what was measured, and the targets they are held against."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raw import Row
from tools import OURS

MIB = 1 << 20


class Figures:
    """Medians over the rounds; None where nothing whole was measured."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def whole(
        self, tool: str, workload: str, cell: str = "upload", latency_ms: float = 0.0
    ) -> list[Row]:
        """The rows whose result was whole."""
        wanted = (tool, workload, cell, latency_ms)
        return [
            row
            for row in self._rows
            if (row.tool, row.workload, row.cell, row.latency_ms) == wanted and not row.problem
        ]

    def wall(
        self, tool: str, workload: str, cell: str = "upload", latency_ms: float = 0.0
    ) -> float | None:
        """Wall seconds."""
        walls = [row.wall for row in self.whole(tool, workload, cell, latency_ms)]
        return statistics.median(walls) if walls else None

    def ratio(
        self,
        tool: str,
        workload: str,
        cell: str = "upload",
        latency_ms: float = 0.0,
        to: str = "s5cmd",
    ) -> float | None:
        """Wall time of a tool relative to that of another."""
        mine = self.wall(tool, workload, cell, latency_ms)
        other = self.wall(to, workload, cell, latency_ms)
        return None if mine is None or other is None else mine / other

    def moving(self, workload: str, cell: str = "upload") -> float | None:
        """Wall seconds of Waybill's jobs that handle bytes, summed."""
        sums = [row.moving for row in self.whole("waybill", workload, cell)]
        return statistics.median(sums) if sums else None

    def job_peak(self, workload: str | None = None) -> int | None:
        """The most memory, in bytes, that any job of Waybill took; of one workload, those without a
        preset."""
        tools = OURS if workload is None else ("waybill",)
        peaks = [
            row.job_peak
            for row in self._rows
            if row.tool in tools and row.job_peak and workload in (None, row.workload)
        ]
        return max(peaks, default=None)

    def files(self, workload: str) -> int:
        """How many files a workload has."""
        return next(row.files for row in self._rows if row.workload == workload)


class Target(NamedTuple):
    """``value`` is to be at most ``limit``; ``unit`` is what both are in."""

    what: str
    value: float | None
    limit: float
    unit: str

    @property
    def text(self) -> str:
        return _with_unit(self.value, self.unit)

    @property
    def limit_text(self) -> str:
        return f"≤ {_with_unit(self.limit, self.unit)}"


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "MB":
        return f"{value / 1e6:.0f} MB"
    return f"{value:.1f} s" if unit == "s" else f"{value:.2f} x {unit}"


def targets(figures: Figures) -> Iterator[Target]:
    """What Waybill set out to reach."""
    for workload, limit in (("W1", 0.9), ("W3", 0.9), ("W2", 0.7)):
        moving, bare = figures.moving(workload), figures.wall("s5cmd", workload)
        value = moving / bare if moving is not None and bare else None
        yield Target(f"upload {workload}, moving of bytes", value, limit, "s5cmd")
    yield Target("upload W4, whole run", figures.ratio("waybill", "W4"), 1.0, "s5cmd")
    value = figures.ratio("waybill", "W4", to="aws")
    yield Target("upload W4, whole run", value, 0.4, "aws")
    yield Target("upload W2, whole run", figures.ratio("waybill", "W2"), 0.8, "s5cmd")
    for workload in ("W1", "W3"):
        mine, bare = figures.wall("waybill", workload), figures.wall("s5cmd", workload)
        value = mine - bare if mine is not None and bare is not None else None
        yield Target(f"upload {workload}, whole run: over s5cmd", value, 4.0, "s")
    value = figures.ratio("waybill", "W4", latency_ms=30.0)
    yield Target("upload W4, 30 ms away, whole run", value, 0.9, "s5cmd")
    for peer, limit in (("s5cmd", 1.5), ("aws", 0.5)):
        value = figures.ratio("waybill", "W4", "nothing", to=peer)
        yield Target("nothing to do, W4", value, limit, peer)
    for workload in ("W1", "W3"):
        value = figures.ratio("waybill", workload, "download")
        yield Target(f"download {workload}", value, 1.3, "s5cmd")
    yield Target("peak memory of any job", figures.job_peak(), 300e6, "MB")
    small, large = figures.job_peak("W4-10k"), figures.job_peak("W4")
    value = large - small if small is not None and large is not None else None
    yield Target("its growth from 10,000 to 100,000 files", value, 100e6, "MB")
