"""SLURM forgets a job, or cannot be asked for a while. Each test has a cluster of its own, whose
settings it changes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clones import (
    QUICK,
    RUN_SECONDS,
    Clone,
    Hold,
    OwnCluster,
    can_mount,
    own_cluster,
    sbatch,
    scontrol,
    sent,
    until,
)

from support.server import S3Server
from support.workflow import Running

pytestmark = pytest.mark.skipif(not can_mount(), reason="a container that may not mount")

FILES = 6
SPARE = ["--default-resources", "slurm_partition=spare", "mem_mb=1024", "runtime=30"]


@pytest.fixture
def alone(tmp_path: Path, clone: Clone, bucket: str) -> Iterator[OwnCluster]:
    """The cluster of the clone, which has a few files to upload in one batch."""
    for i in range(FILES):
        clone.write(f"f{i}.bin", b"%d" % i * 500)
    clone.configure(t={"destination": f"s3://{bucket}/data"})
    with own_cluster(tmp_path / "cluster") as cluster:
        clone.env["SLURM_CONF"] = str(cluster.slurm_conf)
        yield cluster


def said(clone: Clone) -> str:
    return (clone.folder / "output.log").read_text()


def forgotten(alone: OwnCluster, clone: Clone, run: Running, hold: Hold) -> None:
    """A login node stands still for longer than SLURM remembers an ended job."""
    alone.remember(5)
    os.kill(run.process.pid, signal.SIGSTOP)
    hold.release()
    until(lambda: not clone.jobs())
    os.kill(run.process.pid, signal.SIGCONT)


def controller_away(alone: OwnCluster, clone: Clone, run: Running, hold: Hold) -> None:
    """The controller is away when the executor looks, and there is no accounting either."""
    alone.kill_controller()
    until(lambda: "Falling back to 'sacct'" in said(clone))
    time.sleep(5)  # five questions to sacct, which knows nothing
    alone.do("start")
    hold.release()
    until(lambda: clone.submitted() and not clone.running("upload"))


def preempted_for_good(alone: OwnCluster, clone: Clone, run: Running, hold: Hold) -> None:
    """The partition cancels what it preempts."""
    env = clone.environment
    scontrol("update", "PartitionName=spare", "PreemptMode=CANCEL", env=env)
    urgent = ["--partition=urgent", "--exclusive", "--time=5", "--output=/dev/null"]
    sbatch(clone, *urgent, "--wrap", "true")
    until(lambda: {job.state for job in clone.jobs("upload")} == {"PREEMPTED"})
    hold.release()


@pytest.mark.parametrize("lose", [forgotten, controller_away, preempted_for_good])
def test_F6_a_job_that_the_executor_has_lost_costs_an_interrupt(
    alone: OwnCluster,
    clone: Clone,
    s3: S3Server,
    bucket: str,
    lose: Callable[[OwnCluster, Clone, Running, Hold], None],
) -> None:
    """The executor waits for ever, whatever its settings are. Nothing is lost: Ctrl-C, and the same
    command once more."""
    hold = Hold(clone.proxy, lambda r: r.op == "PutObject" and r.key.endswith("/f5.bin"))
    run = clone.start(options=[*QUICK, *SPARE])
    until(lambda: hold.waiting)
    lose(alone, clone, run, hold)
    gone_for_good = lose is preempted_for_good
    until(lambda: gone_for_good or clone.results("t").files("markers"))
    time.sleep(60)  # more than one look
    assert run.process.poll() is None
    os.killpg(run.process.pid, signal.SIGINT)
    run.wait(RUN_SECONDS).ended(130)
    alone.remember(3600)
    clone.start(options=QUICK).wait(RUN_SECONDS).ended(0)
    clone.check_end(s3, bucket)
    again = {what for what, count in sent(clone.proxy.requests).items() if count > 1}
    assert again <= ({("data/f5.bin", None)} if gone_for_good else set())


def test_F6_the_profile_asks_sacct_where_slurm_forgets_between_two_looks(
    alone: OwnCluster, clone: Clone
) -> None:
    """Looks come up to 180 s after one another, so squeue is no good with a MinJobAge below."""
    alone.remember(170)
    run = clone.start(options=[])
    until(lambda: "Falling back to 'sacct' for status queries" in said(clone))
    os.killpg(run.process.pid, signal.SIGINT)
    run.wait(RUN_SECONDS).ended(130)
