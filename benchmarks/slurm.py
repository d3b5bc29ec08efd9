"""What SLURM adds to a run: on the cluster that tests/slurm/cluster.sh starts, with

    tests/slurm/cluster.sh run python benchmarks/slurm.py --write

256 MiB in 1, 8 or 32 files, each file a batch; every run is a first run in a clone of its own. The
same command lines a user types: `snakemake --profile slurm`, plain `snakemake` (local executor),
and the pilot script (local executor inside one allocation). Writes `benchmarks/slurm.md`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "slurm")]

from clones import Clone, until  # noqa: E402

from support.proxy import Proxy  # noqa: E402
from support.server import S3Server  # noqa: E402

BATCHES = (1, 8, 32)
TOTAL_BYTES = 256 << 20
WAYS = {
    "local executor": "snakemake",
    "pilot job": "sbatch --parsable --cpus-per-task=2 workflow/profiles/slurm/pilot.sh",
    "`--profile slurm`": "snakemake --profile slurm",
}


def measure(command: str, batches: int, base: Path, server: S3Server) -> float:
    """Wall seconds of one first run in a fresh clone."""
    folder = Path(tempfile.mkdtemp(dir=base))
    bucket = server.make_bucket(f"bench-{folder.name.lower().replace('_', '-')}-x")
    with Proxy(server.endpoint_url) as unused:
        clone = Clone(folder / "clone", unused)
    size = TOTAL_BYTES // batches
    for i in range(batches):
        clone.write(f"{i:03}.bin", i.to_bytes(4, "big") * (size // 4))
    clone.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 1})
    begun = time.monotonic()
    done = subprocess.run(
        command.split(),
        cwd=clone.folder,
        env=clone.environment | server.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if command.startswith("sbatch"):  # whose own --wait looks only every half a minute
        until(lambda: clone.jobs()[0].state not in ("PENDING", "RUNNING"), 600)
    wall = time.monotonic() - begun
    markers = clone.results("t").files("markers")
    if done.returncode or len(markers) != batches:
        raise SystemExit(f"{command}: {len(markers)} markers\n{done.stdout.decode()[-4000:]}")
    shutil.rmtree(folder)
    return wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write benchmarks/slurm.md")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="waybill-slurm-") as base, S3Server() as server:
        for way, command in WAYS.items():
            walls = [
                statistics.median(
                    measure(command, batches, Path(base), server) for _ in range(arguments.rounds)
                )
                for batches in BATCHES
            ]
            rows.append(f"| {way} | {' | '.join(f'{wall:.1f}' for wall in walls)} |")
    text = "\n".join(
        (
            "# What SLURM adds to a run",
            "",
            f"`python benchmarks/slurm.py`: {TOTAL_BYTES >> 20} MiB in so many files, each a batch;"
            f" first runs, seconds of wall, median of {arguments.rounds}. Nodes, S3 server"
            f" (moto) and Snakemake share {os.cpu_count()} cores.",
            "",
            f"| batches | {' | '.join(map(str, BATCHES))} |",
            "|---|" + "---:|" * len(BATCHES),
            *rows,
            "",
            "A job costs two starts of Snakemake (1.4 s of CPU), and its end is noticed at the next"
            " look at the queue, 10 s apart or more. The local executor runs checksum, diff and"
            " upload of a batch as jobs of their own.",
            "",
        )
    )
    print(text)
    if arguments.write:
        (ROOT / "benchmarks" / "slurm.md").write_text(text)


if __name__ == "__main__":
    main()
