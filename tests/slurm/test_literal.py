"""The literal `snakemake --profile slurm`: 200 files and a large one, and then once more."""

from __future__ import annotations

import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clones import RUN_SECONDS, Clone, can_mount, scontrol, sent

from support.server import S3Server

FILES = 200
BIG_MIB = 300
LOCAL_RULES = {"gather_plan", "manifest", "publish", "summary", "all"}


def records(clone: Clone) -> list[str]:
    """SLURM's records of the jobs of this clone."""
    lines = scontrol("show", "job", "-o").splitlines()
    return [line for line in lines if f"WorkDir={clone.folder} " in line]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A mount through which nobody can write, not even root; in a container that may not mount,
    the folder as it is."""
    if not can_mount():
        yield
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_the_literal_command_and_again(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    for i in range(FILES):
        clone.write(f"plate{i // 25}/well{i:03}.csv", random.Random(i).randbytes(1000 + i))
    clone.write("big.h5ad", mebibyte * BIG_MIB)
    clone.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 80})
    scratch = clone.folder / "scratch"
    scratch.mkdir()
    clone.env = {"TMPDIR": str(scratch), "PYTHONNOUSERSITE": "1"}
    with read_only(clone.source):
        first = clone.start(options=[]).wait(RUN_SECONDS).ended(0)
        jobs = clone.jobs()
        names = set(re.findall(r"JobName=(\S+)", "\n".join(records(clone))))
        second = clone.start(options=[]).wait(RUN_SECONDS).ended(0)
        clone.check_end(s3, bucket)

    # Everything arrived, once.
    counted = sent(first.requests)
    assert set(counted.values()) == {1}
    assert len(counted) == FILES + -(-BIG_MIB // 16)
    assert len(first.manifest_puts) == 1
    assert f"; {FILES + 1} moved, " in first.lines[-1]

    # One job did all for a batch, on three nodes or more, and each table stands nevertheless.
    results = clone.results("t")
    batches = len(results.files("markers"))
    assert batches > 3
    assert Counter(job.rule for job in jobs) == Counter(inventory=1, upload=batches)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert len({job.node for job in jobs}) >= 3
    # A person tells them from others in squeue.
    (name,) = names
    assert name.startswith("waybill_")
    assert {(job.memory, job.limit) for job in jobs} == {("1G", 240)}
    assert first.jobs.keys() - {"inventory", "upload"} == LOCAL_RULES
    assert len(results.files("checksums")) == len(results.files("diff")) == batches
    assert len(results.checksums()) == FILES + 1

    # The second run submitted the inventory alone.
    assert [job.rule for job in clone.jobs()[len(jobs) :]] == ["inventory"]
    assert second.operations == Counter(ListObjectsV2=1)
    assert second.jobs == Counter(inventory=1, all=1)

    # Nothing lies in the folder for temporary files.
    assert [p for p in scratch.rglob("*") if p.is_file()] == []
