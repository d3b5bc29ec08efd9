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

from support.downloads import remove_objects
from support.objects import keys, stored
from support.proxy import Proxy, short_pages
from support.server import S3Server
from support.workflow import Finished, Workflow, is_manifest

IDLE = Counter(inventory=1, all=1)
BUCKET = "waybill-counts"
SMALL_FILES, SMALL_BYTES = 300, 8 << 10
MAX_FILES = 54
PAGE_KEYS = 200


def random_bytes(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def listings(run: Finished, prefix: str) -> int:
    """How many times a prefix was listed from its beginning."""
    pages = [r for r in run.requests if r.op == "ListObjectsV2" and r.query["prefix"] == prefix]
    return sum("continuation-token" not in page.query for page in pages)


def data_heads(run: Finished) -> list[str]:
    """The keys of data that were asked for; whether an equal manifest still stands is asked too."""
    return [r.key for r in run.requests if r.op == "HeadObject" and not is_manifest(r.key)]


def operations(run: Finished) -> set[str]:
    return set(run.operations)


# --- 300 small files and 5 larger ones, in ten batches and more -------------------------------


class World(Workflow):
    """The big folder after its first run; each test changes it and leaves it proven again."""

    placed: list[str]
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
    remove_objects(s3, s3.make_bucket(BUCKET))  # the same process may make it again
    with Proxy(s3.endpoint_url) as proxy:
        world = World(tmp_path_factory.mktemp("counts"), proxy)
        proxy.fault(short_pages(PAGE_KEYS), op="ListObjectsV2")
        for i in range(SMALL_FILES):
            world.write(f"plate{i // 60}/cell{i:04}.tif", random_bytes(i, SMALL_BYTES))
        for i in range(5):
            world.write(f"atlas/tissue{i}.h5ad", random_bytes(-i, 100_000 + 50_000 * i))
        world.placed = sorted(
            f"data/{p.relative_to(world.source)}" for p in world.source.rglob("*") if p.is_file()
        )
        world.configure(t={"destination": f"s3://{BUCKET}/data", "batch.max_files": MAX_FILES})
        world.first = world.run()
        yield world
        assert proxy.errors == []


def test_a_first_run_uploads_everything_once(world: World, s3: S3Server) -> None:
    first = world.first
    assert len(world.placed) == SMALL_FILES + 5
    assert first.data_puts == world.placed
    assert len(first.manifest_puts) == 1
    assert listings(first, "data/") == 1
    # The manifest is looked for before it is put: nothing that was published is overwritten.
    assert first.operations == Counter(ListObjectsV2=1, HeadObject=1, PutObject=SMALL_FILES + 5 + 1)
    batches = first.jobs["upload"]
    assert batches >= 10
    assert first.jobs == Counter(
        inventory=1, checksum=batches, diff=batches, upload=batches,
        gather_plan=1, manifest=1, publish=1, summary=1, all=1,
    )  # fmt: skip
    # The manifest went last, when all its data was there.
    writes = [is_manifest(r.key) for r in first.requests if r.op == "PutObject"]
    assert writes.index(True) == len(writes) - 1
    world.check(s3)


def test_a_second_run_has_nothing_to_do(world: World) -> None:
    run = world.run()
    assert operations(run) == {"ListObjectsV2"}
    assert listings(run, "data/") == 1
    assert len(run.requests) == 2  # pages
    assert run.jobs == IDLE


def test_a_changed_file_is_one_put(world: World, s3: S3Server) -> None:
    changed = random_bytes("changed", SMALL_BYTES)
    world.write("plate1/cell0075.tif", changed)
    run = world.run()
    assert run.data_puts == ["data/plate1/cell0075.tif"]
    assert len(run.manifest_puts) == 1
    assert data_heads(run) == []
    assert run.jobs["upload"] == 1
    assert stored(s3, BUCKET, "data/plate1/cell0075.tif") == changed
    world.check(s3)


def test_a_deleted_object_is_one_put(world: World, s3: S3Server) -> None:
    key = "data/plate3/cell0233.tif"
    s3.client().delete_object(Bucket=BUCKET, Key=key)
    run = world.run()
    assert run.data_puts == [key]
    assert run.manifest_puts == []  # it would list the same
    assert data_heads(run) == []
    assert run.jobs["upload"] == 1
    assert stored(s3, BUCKET, key) == random_bytes(233, SMALL_BYTES)


def test_an_object_somebody_overwrote_is_one_put(world: World, s3: S3Server) -> None:
    key = "data/plate0/cell0011.tif"
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"x" * SMALL_BYTES)
    run = world.run()
    assert run.data_puts == [key]
    assert {*data_heads(run)} <= {key}
    assert run.jobs["upload"] == 1
    assert stored(s3, BUCKET, key) == random_bytes(11, SMALL_BYTES)


def test_an_added_file_disturbs_at_most_two_batches(world: World, s3: S3Server) -> None:
    world.write("plate2/added.tif", b"new here")
    run = world.run()
    assert run.data_puts == ["data/plate2/added.tif"]
    assert 1 <= run.jobs["upload"] <= 2
    assert data_heads(run) == []
    world.check(s3)


def test_a_removed_file_leaves_the_manifest(world: World, s3: S3Server) -> None:
    (world.source / "plate4/cell0299.tif").unlink()
    run = world.run()
    assert run.data_puts == []
    assert len(run.manifest_puts) == 1
    world.check(s3)
    assert "data/plate4/cell0299.tif" in keys(s3, BUCKET)  # nothing is ever deleted
    assert any("1 only at the destination" in line for line in run.lines)


# --- 24 files in a few batches ------------------------------------------------------------------

TWO = "waybill-counts-small"


class Small(Workflow):
    """The small folder after a plan and a first run; each test leaves it proven again, and takes no
    notice of what others have put beside ``data/``."""

    planned: Finished
    after_plan: list[str]
    first: Finished
    plan: list[dict[str, str]]


@pytest.fixture(scope="module")
def small_world(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    remove_objects(s3, s3.make_bucket(TWO))
    with Proxy(s3.endpoint_url) as proxy:
        small = Small(tmp_path_factory.mktemp("small"), proxy)
        for i in range(24):
            small.write(f"run{i // 8}/read{i:02}.fq", random_bytes(i, 1000 + i))
        small.configure(t={"destination": f"s3://{TWO}/data", "batch.max_files": 10})
        small.planned = small.run("plan")
        small.after_plan = keys(s3, TWO)
        small.first = small.run()
        small.plan = small.results("t").table("plan.tsv")
        yield small
        assert proxy.errors == []


@pytest.fixture
def small(small_world: Small) -> Small:
    small_world.configure(t={"destination": f"s3://{TWO}/data", "batch.max_files": 10})
    return small_world


def test_plan_moves_nothing(small: Small) -> None:
    assert small.after_plan == []
    assert operations(small.planned) == {"ListObjectsV2"}
    assert small.planned.jobs.keys() == {"inventory", "gather_plan", "plan"}
    assert {(row["status"], row["action"]) for row in small.plan} == {("+", "move")}
    assert len(small.plan) == 24
    # The plan hashed nothing, so the run that followed did.
    assert len(small.first.data_puts) == 24
    assert small.first.jobs["checksum"] == small.first.jobs["diff"] == small.first.jobs["upload"]


def test_a_listing_that_was_seen_before_counts_too(small: Small, s3: S3Server) -> None:
    for _ in range(2):
        s3.client().delete_object(Bucket=TWO, Key="data/run0/read07.fq")
        run = small.run()
        assert run.data_puts == ["data/run0/read07.fq"]
        assert run.manifest_puts == []
        assert run.jobs["upload"] == 1


def test_an_emptied_bucket_is_filled_again(small: Small, s3: S3Server) -> None:
    before = keys(s3, TWO, "data/")
    for key in before:
        s3.client().delete_object(Bucket=TWO, Key=key)
    run = small.run()
    assert run.data_puts == [key for key in before if not is_manifest(key)]
    assert len(run.manifest_puts) == 1
    assert run.jobs["checksum"] == 0
    assert small.run().jobs == IDLE


@pytest.mark.parametrize(
    ("removed", "jobs"),
    [
        ("markers/*/*", "diff gather_plan upload manifest publish summary"),
        ("checksums/*/*", "checksum diff gather_plan upload manifest publish summary"),
        ("manifests/*", "manifest publish summary"),  # or the inventory, as it was published
    ],
)
def test_a_removed_result_is_made_again(small: Small, removed: str, jobs: str) -> None:
    (first, *_) = sorted(small.results("t").root.glob(removed))
    first.unlink()
    run = small.run()
    assert first.is_file()
    assert run.data_puts == []
    assert run.manifest_puts == []
    assert data_heads(run) == []
    assert run.jobs.keys() <= {*jobs.split(), *IDLE}
    if not removed.startswith("manifests"):
        assert run.jobs.keys() >= {"manifest", "publish", "summary"}
    assert set(run.jobs.values()) == {1}


def test_a_job_that_snakemake_repeats_sends_nothing(small: Small) -> None:
    # As after a kill between a marker and the end of its job, or when a script is newer. The diff
    # tables, made before the data moved, still tell to move it.
    run = small.run(options=["--forcerun", "upload"])
    assert run.jobs["upload"] > 1
    assert run.data_puts == []
    assert data_heads(run) == []


def test_each_stage_can_be_a_job_of_its_own(small: Small) -> None:
    apart = "one_job_per_batch=false"
    small.write("run0/read00.fq", random_bytes("other", 1000))
    run = small.run(config=apart)
    assert run.data_puts == ["data/run0/read00.fq"]
    assert run.jobs["checksum"] == run.jobs["diff"] == 1, run.output
    assert small.run(config=apart).jobs == IDLE
    back = small.run()
    assert back.data_puts == []
    assert data_heads(back) == []


def test_a_touched_file_is_hashed_again_and_not_sent(small: Small) -> None:
    later = time.time_ns() + 60_000_000_000
    os.utime(small.source / "run1/read12.fq", ns=(later, later))
    run = small.run()
    assert run.data_puts == []
    assert data_heads(run) == []
    assert run.jobs["upload"] == 1
    assert small.results("t").all("markers")["run1/read12.fq"]["mtime_ns"] == str(later)


def test_without_results_the_published_manifest_tells_the_hashes(small: Small) -> None:
    shutil.rmtree(small.folder / "results")
    run = small.run()
    assert run.data_puts == []
    assert data_heads(run) == []
    assert [is_manifest(r.key) for r in run.requests if r.op == "GetObject"] == [True]
    assert run.operations["ListObjectsV2"] == 1
    plan = small.results("t").table("plan.tsv")
    assert [row["status"] for row in plan] == ["="] * 24


def test_without_results_and_manifest_each_object_is_asked_once(small: Small, s3: S3Server) -> None:
    for key in filter(is_manifest, keys(s3, TWO, "data/")):
        s3.client().delete_object(Bucket=TWO, Key=key)
    shutil.rmtree(small.folder / "results")
    run = small.run()
    heads = Counter(data_heads(run))
    assert heads == Counter(k for k in keys(s3, TWO, "data/") if not is_manifest(k))
    assert run.data_puts == []
    assert len(run.manifest_puts) == 1


def test_a_deleted_manifest_is_published_again(small: Small, s3: S3Server) -> None:
    manifest = max(filter(is_manifest, keys(s3, TWO, "data/")))
    body = stored(s3, TWO, manifest)
    s3.client().delete_object(Bucket=TWO, Key=manifest)
    run = small.run()
    assert run.data_puts == []
    assert run.manifest_puts == [manifest]
    assert stored(s3, TWO, manifest) == body
    assert run.jobs == Counter(["publish", "summary"]) + IDLE


def test_another_destination_gets_everything(small: Small, s3: S3Server, tmp_path: Path) -> None:
    copy = Workflow(tmp_path / "copy", small.proxy)
    shutil.copytree(small.folder, copy.folder, dirs_exist_ok=True)
    elsewhere = {"source": str(small.source), "destination": f"s3://{TWO}/elsewhere"}
    copy.configure(t={**elsewhere, "batch.max_files": 10})
    run = copy.run()
    assert len(run.data_puts) == 24
    assert all(key.startswith("elsewhere/") for key in run.data_puts + run.manifest_puts)
    assert run.jobs["checksum"] == 0
    assert all(f["key"].startswith("elsewhere/") for f in manifest_files(copy))
    assert sum(not is_manifest(key) for key in keys(s3, TWO, "data/")) == 24


def test_transfers_do_not_wait_for_each_other(small: Small, s3: S3Server) -> None:
    small.configure(
        broken={"destination": f"s3://{TWO}-missing/broken"},
        sound={"destination": f"s3://{TWO}/sound"},
    )
    run = small.run(code=1)
    assert len([key for key in run.data_puts if key.startswith("sound/")]) == 24
    assert len(run.manifest_puts) == 1
    failed = [line for line in run.lines if "FAILED" in line]
    assert len(failed) == 1
    assert failed[0].startswith("waybill: broken: FAILED ")
    assert f"{TWO}-missing" in failed[0]
    assert any(line.startswith("waybill: sound: 24 files") for line in run.lines)
    assert small.results("broken").files("markers") == []
    # The bucket alone mends it; and the other transfer can be left out.
    s3.make_bucket(f"{TWO}-missing")
    run = small.run(config="transfers=broken")
    assert len(run.data_puts) == 24
    assert {r.bucket for r in run.requests} == {f"{TWO}-missing"}
    assert run.jobs["inventory"] == 1


def test_a_run_that_would_not_look_is_refused(small: Small) -> None:
    run = small.run(code=2, options=["--rerun-triggers", "mtime"])
    assert run.requests == []
    assert len(run.lines) == 1
    assert "--rerun-triggers" in run.lines[0]
