"""What one job costs where each file has jobs of its own: `python benchmarks/jobs.py`.

Uploads FEW and then MANY small files, one file a batch, from an empty bucket on, as the chain
(checksum, diff, upload) and with one job a batch. The difference is the cost of the jobs without
that of the run: CPU seconds of Snakemake and the job together, and wall seconds of the run. Run it
on a quiet machine.

    python benchmarks/jobs.py --few 20 --many 520 --rounds 3
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import tools
from meter import Cost, measure
from servers import Server, environment, in_memory, program

FORMS = {"chain": (3, ""), "one job a batch": (1, "one_job_per_batch = true\n")}
FILE_BYTES = 4096


def upload(root: Path, form: str, count: int, base: Path, buckets: Path) -> Cost:
    """Upload ``count`` files with the tree at ``root``."""
    work = Path(tempfile.mkdtemp(dir=base))
    bucket = Path(tempfile.mkdtemp(dir=buckets)) / tools.BUCKET
    bucket.mkdir()
    data = work / "data"
    data.mkdir()
    for i in range(count):
        (data / f"{i:05}.bin").write_bytes(i.to_bytes(8, "big") * (FILE_BYTES // 8))
    settings = f'source = "{data}"\ndestination = "{tools.URL}"\n{FORMS[form][1]}'
    batch = "[transfers.bench.batch]\nmax_files = 1\n"
    (work / "bench.toml").write_text(f"[transfers.bench]\n{settings}{batch}")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    command += ["--directory", str(work), "--config", f"toml={work}/bench.toml"]
    with Server(program("rclone"), bucket.parent, work / "server.log") as server:
        cost = measure(command, environment(server.url), work / "run.log", folder=work)
    if cost.code:
        sys.exit(f"a run ended with {cost.code}; its log is {work}/run.log")
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--few", type=int, default=20, metavar="FILES")
    parser.add_argument("--many", type=int, default=120, metavar="FILES")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tree", type=Path, default=tools.ROOT, help="another clone of Waybill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory(dir=in_memory()) as mem:
        print("form             CPU s a job  wall s a job  jobs  rounds")
        for form, (jobs, _) in FORMS.items():
            cpu, wall = [], []
            for _ in range(options.rounds):
                few, many = (
                    upload(options.tree.resolve(), form, count, Path(base), Path(mem))
                    for count in (options.few, options.many)
                )
                made = (options.many - options.few) * jobs
                cpu.append((many.cpu - few.cpu) / made)
                wall.append((many.wall - few.wall) / made)
            medians = f"{statistics.median(cpu):11.3f}  {statistics.median(wall):12.3f}"
            print(f"{form:15}  {medians}  {made:4}  {options.rounds:6}", flush=True)


if __name__ == "__main__":
    main()
