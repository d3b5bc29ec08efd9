"""How much a run does, counted at the server: the first one, an idle one, and after each change."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.objects import keys, stored
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Finished, Workflow, is_manifest

IDLE = Counter(inventory=1, all=1)
BUCKET = "waybill-counts"
SMALL_FILES, SMALL_BYTES = 1000, 8 << 10
MAX_FILES = 150


def random_bytes(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def listings(run: Finished, prefix: str) -> int:
    """How many times a prefix was listed from its beginning."""
    pages = [r for r in run.requests if r.op == "ListObjectsV2" and r.query["prefix"] == prefix]
    return sum("continuation-token" not in page.query for page in pages)


def operations(run: Finished) -> set[str]:
    return set(run.operations)


# --- 1,000 small files and 5 larger ones, in more than ten batches -----------------------------


class World(Workflow):
    """The big folder after its first run; each test changes it and leaves it proven again."""

    first: Finished

    def check(self, s3: S3Server) -> None:
        """The bucket holds what the folder holds, and the manifest lists it."""
        files = {str(p.relative_to(self.source)): p for p in self.source.rglob("*") if p.is_file()}
        in_bucket = [k.removeprefix("data/") for k in keys(s3, BUCKET) if not is_manifest(k)]
        assert set(files) <= set(in_bucket)
        listed = {f["path"].removeprefix(f"{self.source}/") for f in manifest_files(self)}
        assert listed == set(files)


def manifest_files(workflow: Workflow) -> list[dict[str, str]]:
    return workflow.results("t").manifest()["files"]


@pytest.fixture(scope="module")
def world(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    s3.make_bucket(BUCKET)
    with Proxy(s3.endpoint_url) as proxy:
        world = World(tmp_path_factory.mktemp("counts"), proxy)
        for i in range(SMALL_FILES):
            world.write(f"plate{i // 200}/cell{i:04}.tif", random_bytes(i, SMALL_BYTES))
        for i in range(5):
            world.write(f"atlas/tissue{i}.h5ad", random_bytes(-i, 100_000 + 50_000 * i))
        world.configure(t={"destination": f"s3://{BUCKET}/data", "batch.max_files": MAX_FILES})
        world.first = world.run()
        yield world
        assert proxy.errors == []


def test_a_first_run_uploads_everything_once(world: World, s3: S3Server) -> None:
    first = world.first
    expected = sorted(
        f"data/{p.relative_to(world.source)}" for p in world.source.rglob("*") if p.is_file()
    )
    assert len(expected) == SMALL_FILES + 5
    assert first.data_puts == expected
    assert len(first.manifest_puts) == 1
    assert listings(first, "data/") == 1
    assert first.operations == Counter(ListObjectsV2=1, PutObject=SMALL_FILES + 5 + 1)
    batches = first.jobs["upload"]
    assert batches > 10
    assert first.jobs == Counter(
        inventory=1, checksum=batches, diff=batches, upload=batches,
        gather_plan=1, manifest=1, publish=1, summary=1, all=1,
    )  # fmt: skip
    # The manifest went last, when all its data was there.
    assert [is_manifest(r.key) for r in first.requests].index(True) == len(first.requests) - 1
    world.check(s3)


def test_a_second_run_has_nothing_to_do(world: World) -> None:
    run = world.run()
    assert operations(run) == {"ListObjectsV2"}
    assert listings(run, "data/") == 1
    assert len(run.requests) == 2  # pages of 1,000 objects
    assert run.jobs == IDLE


def test_a_changed_file_is_one_put(world: World, s3: S3Server) -> None:
    changed = random_bytes("changed", SMALL_BYTES)
    world.write("plate1/cell0250.tif", changed)
    run = world.run()
    assert run.data_puts == ["data/plate1/cell0250.tif"]
    assert len(run.manifest_puts) == 1
    assert run.operations["HeadObject"] == 0
    assert run.jobs["checksum"] == run.jobs["diff"] == run.jobs["upload"] == 1
    assert stored(s3, BUCKET, "data/plate1/cell0250.tif") == changed
    world.check(s3)


def test_a_deleted_object_is_one_put(world: World, s3: S3Server) -> None:
    key = "data/plate3/cell0777.tif"
    for _ in range(2):  # the second time, the listing of its batch is one that was seen before
        s3.client().delete_object(Bucket=BUCKET, Key=key)
        run = world.run()
        assert run.data_puts == [key]
        assert len(run.manifest_puts) == 1
        assert run.operations["HeadObject"] == 0
        assert run.jobs["upload"] == 1
        assert run.jobs["checksum"] == 0
        assert stored(s3, BUCKET, key) == random_bytes(777, SMALL_BYTES)


def test_an_object_somebody_overwrote_is_one_put(world: World, s3: S3Server) -> None:
    key = "data/plate0/cell0011.tif"
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"x" * SMALL_BYTES)
    run = world.run()
    assert run.data_puts == [key]
    assert {r.key for r in run.requests if r.op == "HeadObject"} <= {key}
    assert run.jobs["upload"] == 1
    assert stored(s3, BUCKET, key) == random_bytes(11, SMALL_BYTES)


def test_an_added_file_disturbs_at_most_two_batches(world: World, s3: S3Server) -> None:
    world.write("plate2/added.tif", b"new here")
    run = world.run()
    assert run.data_puts == ["data/plate2/added.tif"]
    assert 1 <= run.jobs["upload"] <= 2
    assert run.jobs["checksum"] == run.jobs["diff"] == run.jobs["upload"]
    assert run.operations["HeadObject"] == 0
    world.check(s3)


def test_a_removed_file_leaves_the_manifest(world: World, s3: S3Server) -> None:
    (world.source / "plate4/cell0999.tif").unlink()
    run = world.run()
    assert run.data_puts == []
    assert len(run.manifest_puts) == 1
    world.check(s3)
    assert "data/plate4/cell0999.tif" in keys(s3, BUCKET)  # nothing is ever deleted
    assert any("1 only at the destination" in line for line in run.lines)


# --- a small folder of its own for each test ----------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, proxy: Proxy, bucket: str) -> Workflow:
    """24 files in several batches, not yet uploaded."""
    workflow = Workflow(tmp_path, proxy)
    for i in range(24):
        workflow.write(f"run{i // 8}/read{i:02}.fq", random_bytes(i, 1000 + i))
    workflow.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 10})
    return workflow


def test_an_emptied_bucket_is_filled_again(small: Workflow, s3: S3Server, bucket: str) -> None:
    small.run()
    before = keys(s3, bucket)
    for key in before:
        s3.client().delete_object(Bucket=bucket, Key=key)
    run = small.run()
    assert run.data_puts == [key for key in before if not is_manifest(key)]
    assert len(run.manifest_puts) == 1
    assert run.jobs["checksum"] == 0
    assert small.run().jobs == IDLE


@pytest.mark.parametrize(
    ("removed", "jobs"),
    [
        ("markers/*/*", "upload manifest publish summary"),
        ("diff/*/*", "diff gather_plan upload manifest publish summary"),
        ("checksums/*/*", "checksum diff gather_plan upload manifest publish summary"),
        ("manifests/*", "manifest publish summary"),
        ("published/*", "publish summary"),
        ("plan.tsv", "gather_plan summary"),
    ],
)
def test_a_removed_result_is_made_again(small: Workflow, removed: str, jobs: str) -> None:
    small.run()
    (first, *_) = sorted(small.results("t").root.glob(removed))
    first.unlink()
    run = small.run()
    assert first.is_file()
    assert run.data_puts == []
    assert run.operations["HeadObject"] == 0
    assert run.jobs == Counter(jobs.split()) + IDLE


def test_touch_hashes_again_and_sends_nothing(small: Workflow) -> None:
    small.run()
    later = time.time_ns() + 60_000_000_000
    os.utime(small.source / "run1/read12.fq", ns=(later, later))
    run = small.run()
    assert run.data_puts == []
    assert run.operations["HeadObject"] == 0
    assert run.jobs["checksum"] == run.jobs["upload"] == 1
    assert small.results("t").all("markers")["run1/read12.fq"]["mtime_ns"] == str(later)
    assert small.run().jobs == IDLE


def test_without_results_the_published_manifest_tells_the_hashes(small: Workflow) -> None:
    small.run()
    shutil.rmtree(small.folder / "results")
    run = small.run()
    assert run.data_puts == []
    assert run.operations["HeadObject"] == 0
    assert [is_manifest(r.key) for r in run.requests if r.op == "GetObject"] == [True]
    assert run.operations["ListObjectsV2"] == 1
    plan = small.results("t").table("plan.tsv")
    assert [row["status"] for row in plan] == ["="] * 24
    assert small.run().jobs == IDLE


def test_without_results_and_manifest_each_object_is_asked_once(
    small: Workflow, s3: S3Server, bucket: str
) -> None:
    (manifest,) = small.run().manifest_puts
    s3.client().delete_object(Bucket=bucket, Key=manifest)
    shutil.rmtree(small.folder / "results")
    run = small.run()
    heads = Counter(r.key for r in run.requests if r.op == "HeadObject")
    assert heads == Counter(k for k in keys(s3, bucket) if not is_manifest(k))
    assert run.data_puts == []
    assert len(run.manifest_puts) == 1
    assert small.run().jobs == IDLE


def test_a_deleted_manifest_is_published_again(small: Workflow, s3: S3Server, bucket: str) -> None:
    (manifest,) = small.run().manifest_puts
    body = stored(s3, bucket, manifest)
    s3.client().delete_object(Bucket=bucket, Key=manifest)
    run = small.run()
    assert run.data_puts == []
    assert run.manifest_puts == [manifest]
    assert stored(s3, bucket, manifest) == body
    assert run.jobs["upload"] == run.jobs["manifest"] == 0
    assert small.run().jobs == IDLE


def test_plan_moves_nothing(small: Workflow, s3: S3Server, bucket: str) -> None:
    run = small.run("plan")
    assert keys(s3, bucket) == []
    assert operations(run) == {"ListObjectsV2"}
    assert run.jobs.keys() == {"inventory", "checksum", "diff", "gather_plan", "plan"}
    plan = small.results("t").table("plan.tsv")
    assert {(row["status"], row["action"]) for row in plan} == {("+", "move")}
    assert len(plan) == 24
    assert small.results("t").files("markers") == []
    # The plan is kept: the run that follows hashes nothing again.
    after = small.run()
    assert len(after.data_puts) == 24
    assert after.jobs["checksum"] == 0


def test_another_destination_gets_everything(small: Workflow, s3: S3Server, bucket: str) -> None:
    small.run()
    small.configure(t={"destination": f"s3://{bucket}/elsewhere", "batch.max_files": 10})
    run = small.run()
    assert len(run.data_puts) == 24
    assert all(key.startswith("elsewhere/") for key in run.data_puts + run.manifest_puts)
    assert run.jobs["checksum"] == 0
    assert all(f["key"].startswith("elsewhere/") for f in manifest_files(small))
    first = [k for k in keys(s3, bucket) if k.startswith("data/") and not is_manifest(k)]
    assert len(first) == 24
    assert small.run().jobs == IDLE


def test_a_broken_transfer_does_not_stop_the_other(
    small: Workflow, s3: S3Server, bucket: str
) -> None:
    small.configure(
        broken={"destination": f"s3://{bucket}-missing/data"},
        sound={"destination": f"s3://{bucket}/data"},
    )
    run = small.run(code=1)
    assert len(run.data_puts) == 24
    assert len(run.manifest_puts) == 1
    failed = [line for line in run.lines if "FAILED" in line]
    assert len(failed) == 1
    assert failed[0].startswith("waybill: broken: FAILED ")
    assert f"{bucket}-missing" in failed[0]
    assert any(line.startswith("waybill: sound: 24 files") for line in run.lines)
    assert small.results("broken").files("markers") == []
    # The right bucket alone mends it.
    s3.make_bucket(f"{bucket}-missing")
    assert len(small.run().data_puts) == 24


def test_one_transfer_can_be_chosen(small: Workflow, bucket: str) -> None:
    small.configure(
        one={"destination": f"s3://{bucket}/one"}, two={"destination": f"s3://{bucket}/two"}
    )
    run = small.run(config="transfers=two")
    assert len(run.data_puts) == 24
    assert {r.key.split("/")[0] for r in run.requests if r.key} == {"two"}
    assert not (small.folder / "results/one").exists()


def test_a_run_that_would_not_look_is_refused(small: Workflow) -> None:
    run = small.run(code=2, options=["--rerun-triggers", "mtime"])
    assert run.requests == []
    assert len(run.lines) == 1
    assert "--rerun-triggers" in run.lines[0]
