"""Up and down again: what comes back is what was sent."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.downloads import remove_objects
from support.proxy import Proxy, short_pages
from support.server import S3Server
from support.workflow import Workflow, read_table

MIB = 1 << 20
FILES = 500
PAGE_KEYS = 200
NASTY = [
    "blank in a name/ two  blanks ",
    "ümlaut/naïve/日本語.txt",
    "plus+percent%41%2F&=?#.txt",
    "quote'\"`$HOME;*.txt",
    "back\\slash/tab\tnew\nline",
    ".hidden/.file",
    "-",
    "~",
    "a" * 255,
    "COM1",
    "deep/" * 40 + "end",
]


class Trip(Workflow):
    """Transfer ``up`` from ``source`` and transfer ``down`` into ``back``."""

    @property
    def back(self) -> Path:
        return self.folder / "back"

    def plan_trip(self, bucket: str, **settings: object) -> None:
        address = f"s3://{bucket}/data"
        self.configure(
            up={"destination": address},
            down={"source": address, "destination": str(self.back), **settings},
        )

    def differences(self) -> str:
        """What ``diff`` finds between the two folders."""
        command = ["diff", "-r", "--no-dereference", self.source, self.back]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def trip(proxy: Proxy, bucket: str, tmp_path: Path, s3: S3Server) -> Iterator[Trip]:
    trip = Trip(tmp_path, proxy)
    trip.plan_trip(bucket)
    yield trip
    remove_objects(s3, bucket)  # the server keeps them in memory


def times(folder: Path) -> dict[str, int]:
    return {
        os.fspath(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def make_tree(trip: Trip) -> int:
    """Files of 0 bytes to 100 MiB, with mtimes of many years; their size in bytes."""
    rng = random.Random(5)
    for name in NASTY:
        trip.write(name, rng.randbytes(rng.randrange(100)))
    for i in range(FILES - len(NASTY) - 3):
        trip.write(f"scenes/{i % 40:02}/scene_{i:04}.tif", rng.randbytes(rng.randrange(3000)))
    trip.write("empty", b"")
    trip.write("middle.bin", rng.randbytes(9 * MIB))
    big = trip.write("big.h5ad", b"")
    with big.open("wb") as file:
        file.truncate(100 * MIB)
        for start in range(0, 96 * MIB, 16 * MIB):
            file.seek(start + rng.randrange(11 * MIB))
            file.write(rng.randbytes(1000))
    for i, (path, _) in enumerate(sorted(times(trip.source).items())):
        when = 1_000_000_000_000_000_000 + i * 86_400_000_000_123
        os.utime(trip.source / path, ns=(when, when))
    return sum((trip.source / path).stat().st_size for path in times(trip.source))


def test_a_tree_comes_back_as_it_went(trip: Trip) -> None:
    size = make_tree(trip)
    trip.proxy.fault(short_pages(PAGE_KEYS), op="ListObjectsV2")
    trip.run(config="transfers=up")
    down = trip.run(config="transfers=down")
    assert trip.differences() == ""
    assert times(trip.back) == times(trip.source)
    assert not list(trip.back.rglob(".waybill-*"))
    assert down.data_puts == down.manifest_puts == []
    assert down.operations["ListObjectsV2"] == 3
    assert down.operations["HeadObject"] == 1  # of what comes in ranges
    assert down.operations["GetObject"] == FILES - 1 + 7
    assert sum(r.answered for r in down.requests if r.op == "GetObject") == size

    results = trip.results("down")
    assert results.checksums() == trip.results("up").checksums()
    markers = results.all("markers")
    assert markers.keys() == times(trip.source).keys()
    assert {path: int(row["mtime_ns"]) for path, row in markers.items()} == times(trip.source)
    assert len(results.manifest()["files"]) == FILES
    (table,) = [p for p in results.files("checksums") if b"middle.bin" in p.read_bytes()]
    check = subprocess.run(["sha256sum", "--quiet", "-c", table], cwd=trip.back, check=False)
    assert check.returncode == 0

    again = trip.run(config="transfers=down")
    assert again.jobs == Counter({"inventory": 1, "all": 1})
    assert again.operations == Counter({"ListObjectsV2": 3})
    assert again.lines[-1].endswith("; nothing to move")

    (trip.back / "empty").unlink()
    (trip.back / "middle.bin").write_bytes(b"mine")
    (trip.back / "added").write_bytes(b"mine")
    repaired = trip.run(config="transfers=down")
    assert Counter(r.key for r in repaired.requests if r.op == "GetObject") == {
        "data/empty": 1,
        "data/middle.bin": 1,
    }
    assert "waybill: down: 1 only at the destination; nothing is deleted" in repaired.lines
    (trip.back / "added").unlink()
    assert trip.differences() == ""


def test_lost_results_cost_no_transfer(trip: Trip) -> None:
    """Everything is compared by its hash, known from the published manifest or asked for."""
    for i in range(20):
        trip.write(f"f{i}", b"content %d" % i)
    trip.run(config="transfers=up")
    trip.run(config="transfers=down")
    (trip.folder / "results" / "down").rename(trip.folder / "lost")
    again = trip.run(config="transfers=down")
    assert {r.key for r in again.requests if r.op == "GetObject"} == {
        r.key for r in again.requests if "/manifests/" in r.key
    }
    assert again.operations["HeadObject"] == 0
    assert trip.results("down").checksums() == trip.results("up").checksums()


def test_a_plan_creates_nothing(trip: Trip) -> None:
    trip.write("a/b", b"content")
    trip.run(config="transfers=up")
    trip.run("plan", config="transfers=down")
    assert not trip.back.exists()
    (row,) = read_table(trip.folder / "results/down/plan.tsv").to_dict("records")
    assert (row["status"], row["action"], row["path"], row["size"]) == ("+", "move", "a/b", "7")


def test_a_stricter_comparison_looks_again(trip: Trip, bucket: str, s3: S3Server) -> None:
    s3.client().put_object(Bucket=bucket, Key="data/a", Body=b"new!")
    trip.back.mkdir()
    (trip.back / "a").write_bytes(b"old?")
    trip.plan_trip(bucket, compare="size", overwrite="never")
    trip.run(config="transfers=down")
    assert (trip.back / "a").read_bytes() == b"old?"
    trip.plan_trip(bucket)
    for hashes, marks in (("hash=false", ("?", "look")), ("hash=true", ("*", "move"))):
        trip.run("plan", config=["transfers=down", hashes])
        (row,) = trip.results("down").table("plan.tsv")
        assert (row["status"], row["action"]) == marks
    trip.run(config="transfers=down")
    assert (trip.back / "a").read_bytes() == b"new!"


def test_a_transfer_at_work_keeps_no_other_waiting(trip: Trip) -> None:
    trip.write("a", b"content")
    trip.run(config="transfers=up")
    (trip.folder / "results" / "up").mkdir(exist_ok=True)
    with (trip.folder / "results" / "up" / ".lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = trip.run(code=1)
    assert any("up: FAILED results/up: another run is at work here" in x for x in run.lines)
    assert (trip.back / "a").read_bytes() == b"content"
    assert run.data_puts == []
    trip.run()


def test_it_looks_also_when_snakemake_has_forgotten(trip: Trip) -> None:
    names = ["first", "second", "third"]
    for name, targets in zip(names, ((), (), ("results/up/plan.tsv",)), strict=True):
        trip.write(name, b"content")
        shutil.rmtree(trip.folder / ".snakemake", ignore_errors=True)
        run = trip.run(*targets, config="transfers=up")
        assert run.jobs["inventory"] == 1
    rows = trip.results("up").table("plan.tsv")
    assert {row["path"]: row["status"] for row in rows} == dict(zip(names, "==+", strict=True))
