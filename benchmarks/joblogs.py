"""What the jobs of a run say of themselves in their logs (scripts/waybill/stages/job.py)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MOVING = ("checksum", "diff", "upload", "download")
_COST = re.compile(r"cost: ([\d.]+) s, CPU ([\d.]+) s, peak (\d+) MiB")


class Jobs(NamedTuple):
    """Wall seconds of each stage, summed over its jobs, and the most memory (bytes) of any job."""

    stages: dict[str, float]
    peak: int


def read(results: Path) -> Jobs:
    """The jobs of the last run, by the logs under ``results``, the folder of one transfer."""
    stages: dict[str, float] = {}
    peak = 0
    base = results / "logs"
    for path in sorted(base.rglob("*.log")):
        if costs := _COST.findall(path.read_text(encoding="utf-8")):
            wall, _, mebibytes = costs[-1]
            name = path.relative_to(base).parts[0].removesuffix(".log")
            stages[name] = stages.get(name, 0.0) + float(wall)
            peak = max(peak, int(mebibytes) << 20)
    return Jobs(stages, peak)
