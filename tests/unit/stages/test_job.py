"""A job starts only when it knows where its dataset lies; each one is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from waybill.results import failures, state
from waybill.results.layout import Layout
from waybill.results.state import Place, State
from waybill.stages import job as stage

# A rule script, with what Snakemake gives to one; its stage tells where it is to work.
JOB = """
import sys, threading, time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from waybill.results import state
from waybill.stages import job as stage
from waybill.results.layout import Layout
from waybill.results.state import Place, State
from waybill.verify.layout import VerifyLayout

root = Path(sys.argv[1])
settings = dict(
    name="t", direction="upload", source="/all", destination="s3://bucket/all/",
    folder=Path("/all"), bucket="bucket", prefix="all/", results=root, publish_prefix=None,
)
snakemake = SimpleNamespace(
    config={"waybill": {"t": settings}}, rule="upload", log=[root / "job.log"],
    wildcards=SimpleNamespace(transfer="t", dataset="run_1", batch="b0123456789abcdef"),
    input=[],
)

def work(task):
    print(task.transfer.folder, task.transfer.url, task.transfer.source)
"""


@pytest.fixture
def job(tmp_path):
    """Run the job with these last lines."""

    def run(last):
        return subprocess.run(
            [sys.executable, "-c", JOB + last, str(tmp_path)],
            env={"PYTHONPATH": str(Path(stage.__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def elsewhere(tmp_path):
    """What an earlier inventory saw: another dataset."""
    state.write(Layout(tmp_path), State(places={"run_0": Place("/all/run_0", "all/run_0/")}))


def test_a_place_that_is_seen_late_is_awaited(job, elsewhere):
    done = job("""
def write():
    time.sleep(1)
    places = {"run_1": Place("/all/run_1", "all/run_1/")}
    state.write(Layout(root), State(places=places))

threading.Thread(target=write).start()
stage.run(snakemake, work)
""")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "/all/run_1 s3://bucket/all/run_1/ /all/run_1\n"


@pytest.mark.parametrize("seen", ["another", "none"])
def test_a_place_that_stays_unseen_is_a_failure(job, tmp_path, request, seen):
    if seen == "another":
        request.getfixturevalue("elsewhere")
    done = job("stage.LATENCY_SECONDS = 0.3\nstage.run(snakemake, work)")
    text = (
        f"{tmp_path}/state.json: the dataset run_1 is not to be seen in it after 0.3 seconds;"
        " see to the file system and run again"
    )
    assert (done.returncode, done.stdout) == (1, ""), "nothing works on the whole transfer"
    assert done.stderr == f"waybill: t:upload:b0123456789abcdef: {text}\n"
    assert [str(failure) for failure in failures.read(Layout(tmp_path))] == [text]


def test_a_verification_knows_its_places_itself(job, elsewhere):
    done = job("stage.run(snakemake, work, partial(VerifyLayout, run='run-1'))")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "/all s3://bucket/all/ /all\n"
