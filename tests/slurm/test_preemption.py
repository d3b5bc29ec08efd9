"""SLURM takes a job away and puts it back into the queue under the same number: Snakemake waits for
it, the second run of the job finds in the journal what has arrived, and the end is right.
"""

from __future__ import annotations

import re
import subprocess

import pytest
from clones import QUICK, RUN_SECONDS, Clone, gone, sbatch, scontrol, until
from test_losses import (
    check_sent_again,
    fill,
    first_parts_arrived,
    hold_last_parts,
    job_of_big_file,
)

from support.server import S3Server

SPARE = ["--default-resources", "slurm_partition=spare", "mem_mb=1024", "runtime=30"]


def restarts(job: int) -> int:
    """How often SLURM has put a job back into the queue."""
    return int(re.findall(r"Restarts=(\d+)", scontrol("show", "job", str(job)))[0])


@pytest.mark.parametrize("how", ["preempted", "requeued"])
def test_F5_a_job_that_is_requeued_in_mid_upload_goes_on(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes, how: str
) -> None:
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    run = clone.start(options=[*QUICK, *(SPARE if how == "preempted" else [])])
    until(lambda: first_parts_arrived(clone, hold))
    job = job_of_big_file(clone)
    scripts = until(lambda: clone.processes("upload.py", job))
    if how == "preempted":  # by a job with a higher priority, which takes the whole node
        urgent = ["--partition=urgent", "--exclusive", "--time=5", "--output=/dev/null"]
        sbatch(clone, *urgent, "--wrap", "sleep 2")
    else:
        subprocess.run(["scontrol", "requeue", str(job)], check=True)
    until(lambda: gone(scripts), 60)
    done, begun = clone.finished(), len(clone.proxy.requests)
    hold.release()
    ended = run.wait(RUN_SECONDS).ended(0)
    assert restarts(job) == 1
    assert clone.job(job).state == "COMPLETED"
    assert job_of_big_file(clone, attempt=-1) == job  # Snakemake has submitted no other
    assert "Trying to restart" not in ended.output
    clone.check_end(s3, bucket)
    check_sent_again(clone, done, begun)
