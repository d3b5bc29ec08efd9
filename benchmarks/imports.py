"""What it costs to import Waybill, beside an earlier version: `waybill --help` and a job.

    python benchmarks/imports.py 81c658d

CPU seconds of a fresh process, the median of rounds in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import tools
from versions import check_out

HELP = """
import sys
from waybill.cli.main import main
sys.argv = ["waybill", "--help"]
try:
    main()
except SystemExit:
    pass
"""
# What a job imports, by the names that the two versions have for it.
INVENTORY = """
try:
    from waybill.stages import job, rules
except ImportError:
    from waybill import stage, stages
"""
UPLOAD = """
try:
    from waybill.stages import job, move
    import waybill.s3.engine.native
except ImportError:
    from waybill import stage, stage_move, engine, crt_engine
"""
CODES = {"waybill --help": HELP, "job inventory": INVENTORY, "job upload": UPLOAD}


def cpu(tree: Path, code: str) -> float:
    """CPU seconds of a process that runs ``code`` with the package of a tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "PYTHONPATH": str(tree / "scripts")}
    subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="a revision of git")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trees = {"before": check_out(options.before, Path(folder)), "after": tools.ROOT}
        print("what            before s  after s  ratio")
        for what, code in CODES.items():
            found: dict[str, list[float]] = {name: [] for name in trees}
            for number in range(options.rounds):
                for name in sorted(trees, reverse=bool(number % 2)):
                    found[name].append(cpu(trees[name], code))
            one, other = (statistics.median(found[name]) for name in trees)
            print(f"{what:15} {one:8.3f} {other:8.3f} {other / one:6.2f}")


if __name__ == "__main__":
    main()
