"""What runs leave behind: tables that pandas reads, that agree with each other, and that are whole
or not there when the disk is full."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.limits import Limits
from support.objects import keys, stored
from support.proxy import Call, Proxy
from support.server import S3Server
from support.workflow import Finished, Results, Workflow, is_manifest, read_table

ODD = ['tab\there "quoted".txt', "new\nline.txt", "back\\slash.txt", "NA", "null", "1e5", "#7"]


@pytest.fixture
def work(tmp_path: Path, proxy: Proxy, bucket: str) -> Workflow:
    work = Workflow(tmp_path, proxy)
    work.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 8})
    return work


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(work: Workflow) -> dict[str, Path]:
    """The files whose names S3 can hold, by path."""
    paths = {str(p.relative_to(work.source)): p for p in work.source.rglob("*") if p.is_file()}
    return {name: path for name, path in paths.items() if name.isprintable() or name in ODD}


def test_the_plan_tells_what_stands_where(work: Workflow, s3: S3Server, bucket: str) -> None:
    for i in range(13):
        work.write(f"sample{i}/reads.fq", b"ACGT" * i)
    for name in ODD:
        work.write(name, name.encode())
    work.run()
    work.write("sample2/reads.fq", b"ACGTTTTT")  # same size
    work.write("sample3/reads.fq", b"longer than before")
    work.write("sample99/reads.fq", b"new")
    work.write(b"caf\xe9", b"a name in Latin-1")
    (work.source / "sample4/reads.fq").unlink()
    before = keys(s3, bucket)
    run = work.run("plan", code=1)
    plan = {row["path"]: row for row in work.results("t").table("plan.tsv")}
    assert (plan["sample2/reads.fq"]["status"], plan["sample2/reads.fq"]["action"]) == ("?", "look")
    run = work.run("plan", config="hash=true", code=1)
    assert keys(s3, bucket) == before
    assert [line for line in run.lines if "FAILED" in line] == [
        line for line in run.lines if line.startswith("waybill: t: FAILED caf\\xe9: ")
    ]

    table = read_table(work.results("t").root / "plan.tsv")
    assert list(table.columns) == [
        "dataset", "status", "action", "path", "size", "mtime_ns", "sha256", "reason",
    ]  # fmt: skip
    assert not table.isna().any().any()
    assert set(table["dataset"]) == {"t"}
    plan = {row["path"]: row for row in work.results("t").table("plan.tsv")}
    assert len(plan) == len(table)
    marks = {name: (row["status"], row["action"]) for name, row in plan.items()}
    assert marks.pop("sample2/reads.fq") == ("*", "move")
    assert marks.pop("sample3/reads.fq") == ("*", "move")
    assert marks.pop("sample99/reads.fq") == ("+", "move")
    assert marks.pop("sample4/reads.fq") == ("-", "")
    assert marks.pop(os.fsdecode(b"caf\xe9")) == ("!", "")
    assert set(marks.values()) == {("=", "keep")}
    files = tree(work)
    assert marks.keys() | {f"sample{i}/reads.fq" for i in (2, 3, 99)} == files.keys()
    for name, path in files.items():
        row, status = plan[name], path.stat()
        assert (int(row["size"]), int(row["mtime_ns"])) == (status.st_size, status.st_mtime_ns)
        assert row["sha256"] == sha256(path)
    moved = [name for name in plan if name in files]
    assert moved == sorted(moved)

    run = work.run(code=1)
    assert run.data_puts == [f"data/sample{i}/reads.fq" for i in (2, 3, 99)]
    counts = {
        row["status"]: (int(row["files"]), int(row["bytes"]))
        for row in work.results("t").table("summary.tsv")
    }
    assert {status: files for status, (files, _) in counts.items()} == {
        "=": 17, "*": 2, "+": 1, "-": 1, "!": 1,
    }  # fmt: skip
    assert counts["*"][1] == len(b"ACGTTTTT") + len(b"longer than before")


def test_markers_checksums_and_manifest_agree(work: Workflow, s3: S3Server, bucket: str) -> None:
    for i in range(20):
        work.write(f"plate{i % 3}/well{i}.csv", os.urandom(100 + i))
    for name in ODD:
        work.write(name, name.encode())
    work.run()
    work.write("plate0/well3.csv", b"changed")
    run = work.run()
    results = work.results("t")
    files = tree(work)
    checksums = results.checksums()
    markers = results.all("markers")
    manifest = results.manifest()
    listed = {f["filename"]: f for f in manifest["files"]}
    there = {
        entry["Key"].removeprefix("data/"): entry
        for entry in s3.client().list_objects_v2(Bucket=bucket, Prefix="data/")["Contents"]
        if not is_manifest(entry["Key"])
    }
    assert files.keys() == checksums.keys() == markers.keys() == listed.keys() == there.keys()
    assert len(manifest["files"]) == len(files)
    for name, path in files.items():
        status, marker, entry = path.stat(), markers[name], listed[name]
        etag = there[name]["ETag"].strip('"')
        assert checksums[name] == marker["sha256"] == entry["sha256"] == sha256(path)
        assert status.st_size == int(marker["size"]) == entry["size_bytes"] == there[name]["Size"]
        assert marker["etag"] == entry["etag"] == etag
        assert marker["key"] == entry["key"] == f"data/{name}"
        assert int(marker["mtime_ns"]) == status.st_mtime_ns
        modified = datetime.fromisoformat(entry["modified_at"])
        assert modified.tzinfo is not None
        assert abs(modified.timestamp() - status.st_mtime) < 0.001
        written = datetime.fromisoformat(marker["time"])
        assert abs((written - datetime.now(UTC)).total_seconds()) < 600
    # One marker, one checksum table, one diff table for each batch; the manifest as published.
    names = {p.stem for p in results.files("markers")}
    assert names == {p.stem for p in results.files("checksums")}
    assert names == {p.stem for p in results.files("diff")}
    rows = Counter(path for table in results.files("markers") for path in read_table(table)["path"])
    assert set(rows.values()) == {1}
    (local,) = (results.root / "manifests").iterdir()
    assert stored(s3, bucket, run.manifest_puts[0]) == local.read_bytes()


# --- a full disk ---------------------------------------------------------------------------------


class TinyDisk:
    """A file system of 4 MiB for results, to be filled and freed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        mount = shutil.which("mount")
        command = [mount or "", "-t", "tmpfs", "-o", "size=4m", "none", os.fspath(path)]
        done = subprocess.run(command, capture_output=True) if mount else None
        self.mounted = done is not None and done.returncode == 0

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", os.fspath(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[TinyDisk]:
    disk = TinyDisk(tmp_path / "disk")
    yield disk
    disk.close()


@pytest.fixture
def full(work: Workflow, disk: TinyDisk, bucket: str) -> Workflow:
    """600 small files in one batch, results on the tiny disk."""
    for i in range(600):
        work.write(f"{i % 10}/cell{i:04}.txt", b"%d" % i)
    work.configure(
        t={"destination": f"s3://{bucket}/data", "results": os.fspath(disk.path / "results")}
    )
    return work


def run_full(work: Workflow, disk: TinyDisk, limit: int) -> Finished:
    """A run on a full disk: exit code 1, clear lines that say the same, nothing marked."""
    settings = {} if disk.mounted else {"limits": Limits(file_bytes=limit)}
    run = work.run(code=1, **settings)
    reasons = (os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG))
    told = [line for line in run.lines if any(reason in line for reason in reasons)]
    assert told
    assert all(os.fspath(disk.path / "results") in line for line in told)
    assert len({line[line.index(os.fspath(disk.path)) :] for line in told}) == 1
    assert not any("all proven" in line for line in run.lines)
    assert list(disk.path.glob("results/t/m*/**/*.*")) == []  # neither markers nor a manifest
    assert run.manifest_puts == []
    return run


def done_by_journal(disk: TinyDisk) -> set[str]:
    return {r["key"] for r in Results(disk.path / "results/t").journal() if "done" in r}


def test_a_disk_that_is_full_from_the_beginning(full: Workflow, disk: TinyDisk) -> None:
    if disk.mounted:
        disk.fill()
    run = run_full(full, disk, limit=16 << 10)  # less than a table of the inventory
    assert run.data_puts == []
    disk.free()
    run = full.run()
    assert len(run.data_puts) == 600


def test_a_disk_that_runs_full_during_the_upload(
    full: Workflow, disk: TinyDisk, s3: S3Server, bucket: str
) -> None:
    if disk.mounted:
        full.proxy.fault(Call(lambda _: disk.fill()), op="PutObject", after=20, times=1)
    run = run_full(full, disk, limit=120 << 10)  # less than the journal
    before = done_by_journal(disk)
    assert 10 < len(before) < 600
    assert before <= set(run.data_puts)
    disk.free()
    run = full.run()
    assert before.isdisjoint(run.data_puts)
    assert len(Results(disk.path / "results/t").all("markers")) == 600
    assert len([key for key in keys(s3, bucket) if not is_manifest(key)]) == 600
    assert full.run().jobs == Counter(inventory=1, all=1)
