"""What docs/hpc.md offers beside the plain command: a plan, partitions, late results, pilots."""

from __future__ import annotations

import random
import subprocess
from collections import Counter

import pytest
from clones import QUICK, RUN_SECONDS, Clone, Hold, can_mount, gone, sbatch, sent, until

from support.objects import keys
from support.server import S3Server


def test_a_plan_moves_nothing_and_transfer_jobs_go_where_they_are_sent(
    clone: Clone, s3: S3Server, bucket: str
) -> None:
    for i in range(6):
        clone.write(f"f{i}.bin", b"%d" % i * 500)
    clone.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 5})
    planned = clone.start("plan").wait(RUN_SECONDS).ended(0)
    assert clone.submitted() == Counter(inventory=1)
    assert planned.jobs["gather_plan"] == 1
    assert keys(s3, bucket) == []
    # A file of settings of one's own, and a partition whose nodes reach S3.
    (clone.folder / "config" / "config.toml").rename(clone.folder / "my.toml")
    pinned = ["inventory:slurm_partition=transfer", "upload:slurm_partition=transfer"]
    options = [*QUICK, "--config", "toml=my.toml", "--set-resources", *pinned]
    clone.start(options=options).wait(RUN_SECONDS).ended(0)
    clone.check_end(s3, bucket)
    batches = len(clone.results("t").files("diff"))
    assert clone.submitted() == Counter(inventory=2, checksum=batches, diff=batches, upload=batches)
    moved = [job for job in clone.jobs() if job.partition == "transfer"]
    assert Counter(job.rule for job in moved) == Counter(inventory=1, upload=batches)
    assert {job.node for job in moved} == {"n4"}


@pytest.mark.skipif(not can_mount(), reason="a container that may not mount")
def test_results_that_are_seen_late(clone: Clone, s3: S3Server, bucket: str) -> None:
    """Snakemake sees the clone through a mount that keeps names, missing ones too, and sizes for
    eight seconds; the nodes see it as it is. Listings of folders are not kept."""
    for i in range(40):
        clone.write(f"f{i:02}.bin", random.Random(i).randbytes(2000))
    clone.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 30})
    late = ",".join(f"{kind}_timeout=8" for kind in ("entry", "attr", "negative"))
    script = 'bindfs -o "$0" "$PWD" "$PWD" && cd "$PWD" && "$@"; code=$?; cd / && umount "$OLDPWD"'
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{script}; exit $code"]
    command = [*enter, late, "snakemake", "--profile", "slurm", *QUICK]
    clone.start_command(*command).wait(RUN_SECONDS).ended(0)
    clone.check_end(s3, bucket)
    clone.write("f07.bin", b"changed")
    clone.write("new.bin", b"new")
    again = clone.start_command(*command).wait(RUN_SECONDS).ended(0)
    clone.check_end(s3, bucket)
    assert sorted(again.data_puts) == ["data/f07.bin", "data/new.bin"]


def test_down_again_after_a_look(clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes) -> None:
    """The plan as a file looks and does not move; a download is one job for each batch; and what
    came is verified by the nodes."""
    back = clone.folder / "back"
    content = {f"f{i:02}.bin": random.Random(i).randbytes(2000) for i in range(20)}
    content["big.bin"] = mebibyte * 80
    for path, data in content.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    source = f"s3://{bucket}/data"
    clone.configure(t={"source": source, "destination": str(back), "batch.max_files": 15})
    clone.start("results/t/plan.tsv").wait(RUN_SECONDS).ended(0)
    assert clone.submitted() == Counter(inventory=1)
    assert not back.exists()
    clone.start().wait(RUN_SECONDS).ended(0)
    batches = len(clone.results("t").files("diff"))
    assert clone.submitted() == Counter(inventory=2, diff=batches, download=batches)
    assert {p.name: p.read_bytes() for p in back.iterdir()} == content
    depth = ["--config", "verify={depth: content}"]
    verified = clone.start("verify", options=[*QUICK, *depth]).wait(RUN_SECONDS).ended(0)
    assert clone.submitted()["verify_batch"] == batches
    assert sum(r.answered for r in verified.requests if r.op == "GetObject") == sum(
        map(len, content.values())
    )


@pytest.mark.parametrize("how", ["cancelled", "requeued"])
def test_F5_a_pilot_job_runs_all_of_it_and_goes_on_where_it_was_cut_off(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes, how: str
) -> None:
    """After ``scancel`` when it is submitted again, after a requeue by itself."""
    for i in range(30):
        clone.write(f"f{i:02}.bin", random.Random(i).randbytes(2000))
    clone.write("big.bin", mebibyte * 100)
    clone.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 20})
    hold = Hold(clone.proxy, lambda r: (r.part or 0) > 4)
    pilot = ["--cpus-per-task=2", "--time=10", "workflow/profiles/slurm/pilot.sh"]
    first = sbatch(clone, *pilot)
    until(lambda: hold.waiting and (len(clone.finished()) >= 34))
    scripts = clone.processes("upload.py")
    command = ["scancel"] if how == "cancelled" else ["scontrol", "requeue"]
    subprocess.run([*command, str(first)], check=True)
    until(lambda: clone.job(first).state not in ("RUNNING", "COMPLETING") and gone(scripts))
    done = clone.finished()
    begun = len(clone.proxy.requests)
    hold.release()
    if how == "cancelled":
        assert clone.job(first).state == "CANCELLED"
        sbatch(clone, *pilot)
    until(lambda: clone.jobs()[-1].state == "COMPLETED")
    assert len(clone.jobs()) == (2 if how == "cancelled" else 1)
    assert {job.rule for job in clone.jobs()} == {"waybill"}
    clone.check_end(s3, bucket)
    assert done.isdisjoint(sent(clone.proxy.requests[begun:]))
