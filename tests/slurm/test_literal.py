"""The literal `snakemake --profile slurm`: 200 files and a large one, and then once more."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest
from clones import RUN_SECONDS, Clone, Job, sent

from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Finished

pytestmark = pytest.mark.xdist_group("literal")  # all of them look at the same two runs

FILES = 200
BIG_MIB = 300
BUCKET = "waybill-slurm-literal"


class Literal(Clone):
    """A clone with its first run and its second, and SLURM's records of their jobs."""

    first: Finished
    second: Finished
    jobs_of_first: list[Job]
    jobs_of_second: list[Job]


@pytest.fixture(scope="module")
def world(
    s3: S3Server, mebibyte: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Literal]:
    """The source is on a read-only mount; temporary files have a folder of their own."""
    s3.make_bucket(BUCKET)
    with Proxy(s3.endpoint_url) as proxy:
        clone = Literal(tmp_path_factory.mktemp("literal") / "clone", proxy)
        for i in range(FILES):
            data = random.Random(i).randbytes(1000 + i)
            clone.write(f"plate{i // 25}/well{i:03}.csv", data)
        clone.write("big.h5ad", mebibyte * BIG_MIB)
        scratch = clone.folder / "scratch"
        scratch.mkdir()
        clone.env = {"TMPDIR": str(scratch), "PYTHONNOUSERSITE": "1"}
        clone.configure(t={"destination": f"s3://{BUCKET}/data", "batch.max_files": 60})
        mount = ["mount", "--bind", clone.source, clone.source]
        subprocess.run(mount, check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", clone.source], check=True)
            clone.first = clone.start(options=[]).wait(RUN_SECONDS)
            clone.jobs_of_first = clone.jobs()
            clone.second = clone.start(options=[]).wait(RUN_SECONDS)
            clone.jobs_of_second = clone.jobs()[len(clone.jobs_of_first) :]
            yield clone
        finally:
            subprocess.run(["umount", clone.source], check=True)
        assert proxy.errors == []


def test_everything_arrives_once(world: Literal, s3: S3Server) -> None:
    world.first.ended(0)
    world.check_end(s3, BUCKET)
    counted = sent(world.first.requests)
    assert set(counted.values()) == {1}
    assert len(counted) == FILES + -(-BIG_MIB // 16)
    assert len(world.first.manifest_puts) == 1
    assert f"; {FILES + 1} moved, " in world.first.lines[-1]


def test_one_job_does_all_for_a_batch_on_three_nodes_or_more(world: Literal) -> None:
    batches = len(world.results("t").files("markers"))
    assert batches > 3
    jobs = world.jobs_of_first
    assert Counter(job.rule for job in jobs) == Counter(inventory=1, upload=batches)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert len({job.node for job in jobs}) >= 3
    # Still each table stands, and the other rules ran beside Snakemake.
    results = world.results("t")
    assert len(results.files("checksums")) == len(results.files("diff")) == batches
    assert len(results.checksums()) == FILES + 1
    local = {"gather_plan", "manifest", "publish", "summary", "all"}
    assert world.first.jobs.keys() - {"inventory", "upload"} == local


def test_memory_and_time_are_asked_for(world: Literal) -> None:
    assert {(job.memory, job.limit) for job in world.jobs_of_first} == {("1G", 240)}


def test_a_second_run_submits_the_inventory_alone(world: Literal) -> None:
    world.second.ended(0)
    assert [job.rule for job in world.jobs_of_second] == ["inventory"]
    assert world.second.operations == Counter(ListObjectsV2=1)
    assert world.second.jobs == Counter(inventory=1, all=1)


def test_nothing_of_waybill_is_in_the_folder_for_temporary_files(world: Literal) -> None:
    left = [p for p in (world.folder / "scratch").rglob("*") if p.is_file()]
    assert left == []
