"""What SLURM adds: `python benchmarks/slurm.py`, on the cluster that tests/slurm/cluster.sh starts.

    tests/slurm/cluster.sh run python benchmarks/slurm.py --write

The same files in 1, 8 and 32 batches, each a first run with everything to do: by
`snakemake --profile slurm` as it stands, by plain `snakemake` (local executor), and as a pilot job
(local executor inside one allocation). Wall seconds from the command to its end; for a pilot from
`sbatch --wait` to its return. Writes `benchmarks/slurm.md`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "slurm")]

from clones import Clone  # noqa: E402
from support.proxy import Proxy  # noqa: E402
from support.server import S3Server  # noqa: E402

BATCHES = (1, 8, 32)
FILES = 64
FILE_BYTES = 4 << 20
PILOT = "sbatch --wait --cpus-per-task=2 workflow/profiles/slurm/pilot.sh"
WAYS = {
    "`snakemake --profile slurm`": "snakemake --profile slurm",
    "pilot job": PILOT,
    "local executor": "snakemake",
}


def make_files(clone: Clone, batches: int) -> None:
    """As many transfers' worth of files as there are batches: each file name's folder is small
    enough to be one batch, and the limit on files cuts exactly there."""
    for i in range(FILES):
        clone.write(f"{i:03}.bin", i.to_bytes(4, "big") * (FILE_BYTES // 4))


def measure(command: str, batches: int, base: Path, server: S3Server, number: int) -> float:
    """Wall seconds of one first run in a fresh clone."""
    bucket = server.make_bucket(f"waybill-bench-{number}")
    with Proxy(server.endpoint_url) as proxy:
        clone = Clone(base / str(number) / "clone", proxy)
        make_files(clone, batches)
        clone.configure(**transfers(clone, bucket, batches))
        environment = clone.environment | server.env()
        begun = time.monotonic()
        done = subprocess.run(
            command.split(),
            cwd=clone.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        wall = time.monotonic() - begun
        markers = list((clone.folder / "results").glob("*/markers/*/*.tsv"))
        if done.returncode or len(markers) != batches:
            raise SystemExit(f"{command}: {len(markers)} markers\n{done.stdout.decode()[-4000:]}")
    shutil.rmtree(clone.folder)
    return wall
