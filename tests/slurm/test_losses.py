"""Jobs, nodes and Snakemake itself are lost in the middle: the end is right, and what was finished
is not sent again. "Finished" is what the journal tells once the lost job is gone; a request that
was under way then may be sent once more.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from clones import (
    QUICK,
    ROOT,
    RUN_SECONDS,
    Clone,
    Hold,
    environment_of,
    gone,
    sbatch,
    scontrol,
    sent,
    until,
)

from support.proxy import expired_token
from support.s3_errors import access_denied
from support.server import S3Server

FILES = 24
PARTS = 7  # of the large file, 16 MiB each
HELD = 4  # of them wait at the proxy
THREADS = 8  # requests of one job at one time


def fill(clone: Clone, bucket: str, mebibyte: bytes, **settings: object) -> None:
    """Small files and a large one, in a few batches."""
    for i in range(FILES):
        clone.write(f"run{i // 10}/f{i:02}.bin", random.Random(i).randbytes(3000 + i))
    clone.write("big.h5ad", mebibyte * (16 * PARTS - 8))
    batch = {"batch.max_files": 16, "batch.max_bytes": "64MiB"}
    patient = {"timeout": 600}  # held requests are not sent again
    clone.configure(t={"destination": f"s3://{bucket}/data", **batch, **patient, **settings})


def hold_last_parts(clone: Clone) -> Hold:
    return Hold(clone.proxy, lambda r: (r.part or 0) > PARTS - HELD)


def first_parts_arrived(clone: Clone, hold: Hold) -> bool:
    there = {("data/big.h5ad", number) for number in range(1, PARTS - HELD + 1)}
    return hold.waiting == HELD and there <= clone.finished()


def job_of_big_file(clone: Clone, *, attempt: int = 0) -> int:
    """The number of the job that moves the large file, by the wildcards in its comment."""
    (name,) = (
        p.stem
        for p in clone.results("t").files("journal")
        if p.suffix == ".jsonl" and "big.h5ad" in p.read_text()
    )
    jobs = [line for line in scontrol("show", "job", "-o").splitlines() if name in line]
    found = sorted(
        int(line.split()[0].removeprefix("JobId=")) for line in jobs if str(clone.folder) in line
    )
    return found[attempt]


def check_sent_again(clone: Clone, done: set[tuple[str, int | None]], begun: int) -> None:
    """What was finished was sent once; nothing was sent more than twice."""
    later = sent(clone.proxy.requests[begun:])
    assert done.isdisjoint(later)
    twice = {what for what, count in sent(clone.proxy.requests).items() if count > 1}
    assert len(twice) <= THREADS
    assert set(later.values()) == {1}


def test_a_cancelled_job_ends_at_once_and_is_done_again(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    run = clone.start()
    until(lambda: first_parts_arrived(clone, hold))
    job = job_of_big_file(clone)
    scripts = until(lambda: clone.processes("upload.py", job))
    subprocess.run(["scancel", str(job)], check=True)
    cancelled = time.monotonic()
    until(lambda: gone(scripts), 20)
    assert time.monotonic() - cancelled < 5
    done, begun = clone.finished(), len(clone.proxy.requests)
    hold.release()
    run.wait(RUN_SECONDS).ended(0)
    assert clone.job(job).state == "CANCELLED"
    assert clone.job(job_of_big_file(clone, attempt=1)).state == "COMPLETED"
    clone.check_end(s3, bucket)
    check_sent_again(clone, done, begun)


def test_F5_a_node_that_dies_costs_another_start(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    where = ["slurm_partition=fragile", "mem_mb=1024", "runtime=30"]
    run = clone.start(options=[*QUICK, "--default-resources", *where])
    until(lambda: first_parts_arrived(clone, hold))
    job = job_of_big_file(clone)
    node = clone.job(job).node
    try:
        kill_node(node, job, clone)
        done, begun = clone.finished(), len(clone.proxy.requests)
        hold.release()
        run.wait(RUN_SECONDS).ended(0)
    finally:
        subprocess.run([ROOT / "tests/slurm/cluster.sh", "start"], check=True)
    again = clone.job(job_of_big_file(clone, attempt=-1))
    assert (again.id, again.state, again.partition) == (job, "COMPLETED", "fragile")
    assert again.node != node
    clone.check_end(s3, bucket)
    check_sent_again(clone, done, begun)


def kill_node(node: str, job: int, clone: Clone) -> None:
    """``kill -9`` of a node's daemon, which its pid file names, and of the job it runs: what
    carries the job's number in its environment in this clone, and the step daemons above it."""
    pid_file = scontrol("show", "config").split("SlurmctldPidFile")[1].split()[1]
    victims = {int(Path(pid_file).with_name(f"{node}.pid").read_text())}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() != clone.folder:
                continue
            if b"SLURM_JOB_ID=%d" % job not in environment_of(entry):
                continue
            parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
            victims.add(int(entry.name))
            if Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"slurmstepd: [%d." % job):
                victims.add(parent)
        except OSError:
            continue
    assert len(victims) >= 6  # the daemon, two step daemons, Snakemake twice, the script
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # one ends at the death of another
            os.kill(pid, signal.SIGKILL)
    until(lambda: gone(victims))


def test_F6_a_job_past_its_time_limit_is_given_more(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    growing = ["upload:runtime=1 * attempt", "upload:mem_mb=1024 * attempt"]
    run = clone.start(options=[*QUICK, "--set-resources", *growing])
    until(lambda: first_parts_arrived(clone, hold))
    job = job_of_big_file(clone)
    until(lambda: clone.job(job).state == "TIMEOUT", 180)
    done, begun = clone.finished(), len(clone.proxy.requests)
    hold.release()
    run.wait(RUN_SECONDS).ended(0)
    assert (clone.job(job).limit, clone.job(job).memory) == (1, "1G")
    again = clone.job(job_of_big_file(clone, attempt=1))
    assert (again.state, again.limit, again.memory) == ("COMPLETED", 2, "2G")
    clone.check_end(s3, bucket)
    check_sent_again(clone, done, begun)


def test_F6_a_job_that_needs_more_memory_is_given_more(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    """SLURM kills the job for its memory; Snakemake's own processes need more than it has at
    first. (SLURM without cgroups calls it FAILED; it looks now and then, so that a short job may
    end before.)"""
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    growing = ["upload:mem_mb=200 if attempt == 1 else 1024"]
    run = clone.start(options=[*QUICK, "--set-resources", *growing])
    until(lambda: "Trying to restart" in (clone.folder / "output.log").read_text())
    hold.release()
    run.wait(RUN_SECONDS).ended(0)
    states = {(job.memory, job.state) for job in clone.jobs("upload")}
    assert ("1G", "COMPLETED") in states
    small = {state for memory, state in states if memory == "200M"}
    assert small & {"FAILED", "OUT_OF_MEMORY"} and small <= {"COMPLETED", "FAILED", "OUT_OF_MEMORY"}
    assert len(states) > 1
    clone.check_end(s3, bucket)


def test_F12_a_mistake_that_lasts_goes_through_the_queue_once(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    """First in the inventory, then in an upload; what may pass is tried again (test above)."""
    fill(clone, bucket, mebibyte)
    clone.env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    ended = clone.start().wait(RUN_SECONDS).ended(1)
    assert "no AWS credentials found" in ended.lines[-1]
    assert clone.submitted() == Counter(inventory=1)
    clone.env = {}
    refused = clone.proxy.fault(access_denied(), op="PutObject", key="data/run0/f00.bin")
    ended = clone.start().wait(RUN_SECONDS).ended(1)
    assert any("access denied to PutObject" in line for line in ended.lines)
    assert refused.hits == 1
    jobs = clone.submitted() - Counter(inventory=1)
    assert jobs == Counter(inventory=1, upload=len(clone.results("t").files("diff")))


def test_snakemake_killed_and_started_again_while_its_jobs_run(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    """The old jobs are stopped with half their files moved; the new run takes its inventory and
    submits the same batches again, and only then the old ones go on. Nothing is sent twice."""
    fill(clone, bucket, mebibyte)
    hold = Hold(clone.proxy, lambda r: (r.part or 0) > 3 or r.key.endswith(HELD_FILES))
    run = clone.start()
    until(lambda: hold.waiting == HELD + len(HELD_FILES) and len(clone.finished()) == FREE)
    old = clone.running("upload")
    stopped = clone.processes("upload.py")
    assert len(stopped) == len(old) > 2
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        run.kill()
        hold.release()
        assert len(clone.running("upload")) == len(old)
        assert clone.results("t").files("markers") == []
        run = clone.start()
        until(lambda: len(clone.running("upload")) == 2 * len(old))
        new = [job.id for job in clone.running("upload")[len(old) :]]
        until(lambda: all(clone.processes("upload.py", job) for job in new))
        time.sleep(3)  # the second copies have everything before them, and wait
        assert len(clone.running("upload")) == 2 * len(old)
        assert len(clone.finished()) == FREE
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    run.wait(RUN_SECONDS).ended(0)
    until(lambda: not clone.running("upload"))
    assert {job.state for job in clone.jobs()} == {"COMPLETED"}
    clone.check_end(s3, bucket)
    assert set(sent(clone.proxy.requests).values()) == {1}
    check_idle(clone)


HELD_FILES = tuple(f"/f{i:02}.bin" for i in range(1, FILES, 3))
FREE = FILES - len(HELD_FILES) + PARTS - HELD


def test_a_job_that_runs_twice_at_once_leaves_one_marker(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    fill(clone, bucket, mebibyte)
    hold = hold_last_parts(clone)
    run = clone.start()
    until(lambda: first_parts_arrived(clone, hold))
    job = job_of_big_file(clone)
    script = clone.folder / "again.sh"
    scontrol("write", "batch_script", str(job), str(script))
    elsewhere = ["--mem=1024", "--exclude", clone.job(job).node]
    again = sbatch(clone, *elsewhere, str(script))
    until(lambda: clone.processes("upload.py", again))
    time.sleep(2)
    hold.release()
    run.wait(RUN_SECONDS).ended(0)
    until(lambda: clone.job(again).state != "RUNNING")
    assert clone.job(job).state == clone.job(again).state == "COMPLETED"
    assert clone.job(job).node != clone.job(again).node
    clone.check_end(s3, bucket)
    assert set(sent(clone.proxy.requests).values()) == {1}
    check_idle(clone)


def check_idle(clone: Clone) -> None:
    """One more run submits its inventory alone."""
    before = clone.submitted()
    clone.start().wait().ended(0)
    assert clone.submitted() - before == Counter(inventory=1)


def test_a_token_that_expires_is_said_and_renewed(
    clone: Clone, s3: S3Server, bucket: str, mebibyte: bytes
) -> None:
    """Credentials are in a shared file, as in ``~/.aws``; S3 refuses the old ones from some moment
    on, and takes the new ones."""
    fill(clone, bucket, mebibyte)
    shared = clone.folder / "aws-credentials"
    clone.env = {
        "AWS_SHARED_CREDENTIALS_FILE": str(shared),
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }
    write_login(shared, "AKIAOLD0OLD0OLD0OLD0")
    hold = hold_last_parts(clone)
    run = clone.start()
    until(lambda: first_parts_arrived(clone, hold))
    expired = clone.proxy.fault(expired_token())
    hold.release()
    ended = run.wait(RUN_SECONDS).ended(1)
    assert expired.hits > 0
    failed = [line for line in ended.lines if "FAILED" in line]
    assert len(failed) == 1
    assert "expired; renew them and run again" in failed[0]
    assert "big.h5ad" not in clone.results("t").all("markers")
    done, begun = clone.finished(), len(clone.proxy.requests)
    write_login(shared, "AKIANEW0NEW0NEW0NEW0")
    clone.proxy.faults.remove(expired)
    clone.start().wait(RUN_SECONDS).ended(0)
    clone.check_end(s3, bucket)
    later = clone.proxy.requests[begun:]
    assert done.isdisjoint(sent(later))
    assert all("AKIANEW0" in r.headers["authorization"] for r in later)


def write_login(path: Path, key: str) -> None:
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
