"""The profiles for schedulers that are not here, and SLURM without its executor."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest
from clones import RUN_SECONDS, Clone, Hold, scontrol, sent, until

from support.server import S3Server

FILES = 6


def fill(clone: Clone, bucket: str) -> None:
    for i in range(FILES):
        clone.write(f"f{i}.bin", b"%d" % i * 500)
    clone.configure(t={"destination": f"s3://{bucket}/data"})


@pytest.mark.parametrize("name", ["lsf", "sge", "cluster-generic", "slurm"])
def test_F12_a_profile_fits_its_executor(clone: Clone, bucket: str, name: str) -> None:
    """A dry run with the executor that is installed: it knows every entry of the profile, and no
    other."""
    fill(clone, bucket)
    profile = clone.folder / "workflow" / "profiles" / name / "config.yaml"
    assert f"executor: {name}\n" in profile.read_text()
    command = ["snakemake", "--profile", f"workflow/profiles/{name}", "--dry-run"]
    ended = clone.start_command(*command).wait().ended(0)
    assert "looking at both sides" in ended.output
    assert "This was a dry-run" in ended.output
    with profile.open("a") as file:
        file.write(f"{name}-no-such-entry: 1\n")
    refused = clone.start_command(*command).wait().ended(2)
    assert f"unrecognized arguments: --{name}-no-such-entry" in refused.output


def test_F6_without_the_executor_of_slurm_a_job_that_is_lost_is_run_again(
    clone: Clone, s3: S3Server, bucket: str
) -> None:
    """A cancelled job, and one that SLURM has forgotten: its number is none that SLURM knows."""
    fill(clone, bucket)
    hold = Hold(clone.proxy, lambda r: r.op == "PutObject" and r.key.endswith("/f5.bin"))
    run = clone.start_command("snakemake", "--profile", "workflow/profiles/cluster-generic")
    until(lambda: hold.waiting)
    (job,) = clone.running("waybill-upload")
    subprocess.run(["scancel", str(job.id)], check=True)
    hold.release()
    run.wait(RUN_SECONDS).ended(0)
    assert clone.submitted() == Counter({"waybill-inventory": 1, "waybill-upload": 2})
    clone.check_end(s3, bucket)
    assert max(sent(clone.proxy.requests).values()) <= 2
    status = clone.folder / "workflow/profiles/cluster-generic/status.sh"
    answers = [subprocess.check_output([status, str(n)], text=True) for n in (job.id, 10**8)]
    assert answers == ["failed\n", "failed\n"]
    last = clone.jobs("waybill-upload")[-1]
    assert subprocess.check_output([status, str(last.id)], text=True) == "success\n"
    assert "Requeue=1" in scontrol("show", "job", str(last.id))
