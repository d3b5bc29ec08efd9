"""Symbolic links, those among them that are put in the way while a run is at work."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.downloads import files, unfinished
from support.failing import failures, fleet
from support.objects import keys, stored
from support.proxy import Call, Proxy
from support.server import S3Server
from support.verifying import Verifying
from support.workflow import Workflow
from waybill.inventory.walk import Walk
from waybill.model.errors import ReportedError, WaybillError
from waybill.model.selection import Selection
from waybill.model.target_names import partial_name
from waybill.results import state
from waybill.results.layout import Layout
from waybill.stages import move, rules
from waybill.stages.task import Task
from waybill.verify.judge import Look
from waybill.verify.look import Looker

OURS, FOREIGN = b"ours!", b"alien"
LONG_AGO = 1_500_000_000 * 10**9  # ns
_EXCHANGE = 2


@pytest.fixture
def world(tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Verifying:
    return Verifying(tmp_path, proxy, bucket, monkeypatch)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def write(path: Path, data: bytes) -> Path:
    """A file that nobody can tell from another one of its size but by its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path


def swap(path: Path, target: Path) -> None:
    """Put a link in the place of a file or folder."""
    path.rename(path.with_name(f"{path.name}.aside"))
    path.symlink_to(target)


@contextmanager
def racing(path: Path, target: Path) -> Iterator[None]:
    """All the while, ``path`` is now what it was and now a link."""
    link = path.with_name(f"{path.name}.link")
    link.symlink_to(target)
    libc = ctypes.CDLL(None, use_errno=True)
    one, other = os.fsencode(path), os.fsencode(link)
    ended = threading.Event()

    def exchange() -> None:
        assert libc.renameat2(-100, one, -100, other, _EXCHANGE) == 0, ctypes.get_errno()

    def race() -> None:
        while not ended.is_set():
            exchange()
            exchange()

    thread = threading.Thread(target=race)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        link.unlink()


def told(results: Path) -> str:
    """What the records of failures say."""
    return "".join(path.read_text() for path in results.glob("failures/**/*.tsv"))


@pytest.mark.parametrize(
    ("symlinks", "hashed", "engine"),
    [
        ("skip", False, "boto3"),
        ("error", False, "native"),
        ("skip", True, "native"),
        ("error", True, "boto3"),
    ],
)
def test_E7_an_upload_reads_no_link_put_there_since_the_inventory(
    world: Verifying, s3: S3Server, outside: Path, symlinks: str, hashed: bool, engine: str
) -> None:
    """In the place of a file or of a folder; in one job, and in two."""
    for path in ("file", "stays", "sub/deep/a"):
        write(world.data / path, OURS)
    for path in ("file", "deep/a"):
        write(outside / path, FOREIGN)
    transfer = world.transfer(symlinks=symlinks, engine=engine)
    layout = Layout(transfer.results)
    rules.inventory(Task(transfer, layout, "inventory"))
    swap(world.data / "file", outside / "file")
    swap(world.data / "sub", outside)
    ((dataset, batch),) = state.batches(layout)
    task = Task(transfer, layout, "upload", dataset, batch)
    if hashed:
        rules.checksum(task.of_stage("checksum"))
    with pytest.raises(ReportedError):
        move.move(task)
    assert keys(s3, world.bucket) == ["x/stays"]
    assert stored(s3, world.bucket, "x/stays") == OURS
    assert not list(layout.root.glob("markers/*/*"))
    assert "file is a symbolic link since the inventory looked at it" in told(layout.root)
    assert "sub is a symbolic link since the inventory looked at it" in told(layout.root)


def test_E7_a_run_names_the_link_that_was_put_there(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, outside: Path
) -> None:
    """The whole of it, with Snakemake: no foreign byte goes, and nothing is claimed."""
    write(outside / "a", FOREIGN)
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        for name in ("skip", "error"):
            way = ships.add(name, {}, symlinks=name)
            write(way.folder / "sub/a", OURS)
            write(way.folder / "b", OURS)
        ships.run("results/skip/inventory", "results/error/inventory", config="start=once")
        for way in ships.ways.values():
            swap(way.folder / "sub", outside)
            (way.folder / "sub.aside").rename(tmp_path / f"moved-{way.prefix[:-1]}")
        run = ships.run(code=1, config="start=once")
        for name, way in ships.ways.items():
            (line,) = failures(run, name)
            assert line.startswith("sub/a: sub is a symbolic link since"), line
            assert way.puts() == ["b"]
            way.check_nothing_claimed()
    assert keys(s3, bucket) == ["error/b", "skip/b"]


@pytest.mark.parametrize("name", ["sub", "sub/file"])
def test_E7_reading_against_a_racer(world: Verifying, outside: Path, name: str) -> None:
    """A file, or its folder, is a link half of the time: its bytes are ours or none."""
    file, foreign = write(world.data / "sub/file", OURS), write(outside / "file", FOREIGN)
    looker = Looker(world.transfer(symlinks="error", verify={"depth": "content"}), accelerate=False)
    sha256 = hashlib.sha256(OURS).hexdigest()
    status = file.stat()
    look = Look("sub/file", "", len(OURS), sha256, "", "", LONG_AGO, status.st_ino, complete=True)
    with racing(world.data / name, outside if name == "sub" else foreign):
        found = looker.run([look] * 500)
    assert [f.reason for f in found if f.status == "*"] == []
    assert {f.status for f in found} <= {"=", "!"}
    assert looker.run([look])[0].status == "="


@pytest.mark.parametrize("symlinks", ["skip", "error"])
def test_E7_a_walk_enters_no_link_that_was_a_folder(
    tmp_path: Path, outside: Path, symlinks: str
) -> None:
    """The folder is swapped between the moment it is met and the moment it is listed."""
    write(outside / "foreign", FOREIGN)
    write(tmp_path / "data/sub/a", OURS)

    class Swapping(Selection):
        def excludes_folder(self, path: str) -> bool:
            if path == "sub":
                swap(tmp_path / "data/sub", outside)
            return super().excludes_folder(path)

    found = Walk(tmp_path / "data", Swapping(("**",), ()), symlinks=symlinks).tree()
    assert found.entries == []
    left = found.skipped if symlinks == "skip" else found.refused
    assert left["sub"].startswith("symbolic link")


def put(s3: S3Server, bucket: str, objects: dict[str, bytes]) -> None:
    for path, data in objects.items():
        s3.client().put_object(Bucket=bucket, Key=f"x/{path}", Body=data)


def test_E7_a_download_writes_through_no_link_by_default(
    world: Verifying, s3: S3Server, outside: Path
) -> None:
    """A link to a folder is left alone, with all that is behind it; a link to a file gives way to
    the file; the destination itself may be a link."""
    put(s3, world.bucket, {"a": b"new", "sub/b": b"new", "kept/c": b"same", "d/e": b"new"})
    real = world.data.rename(world.folder / "elsewhere")
    world.data.symlink_to(real)
    (outside / "sub").mkdir()
    (outside / "kept").mkdir()
    (outside / "a").write_bytes(b"theirs")
    (outside / "kept/c").write_bytes(b"same")
    (outside / "kept" / partial_name("c")).write_bytes(b"theirs")
    for name in ("a", "sub", "kept"):
        (real / name).symlink_to(outside / name)
    with pytest.raises(ReportedError):
        world.move("download")
    assert files(outside) == {"a": b"theirs", "kept/c": b"same"}
    assert len(unfinished(outside)) == 1
    assert not (real / "a").is_symlink()
    assert files(real)["a"] == files(real)["d/e"] == b"new"
    assert "a symbolic link where a folder must be: sub;" in told(world.results)

    (real / "sub").unlink()
    world.move("download")
    assert files(real) == {"a": b"new", "sub/b": b"new", "d/e": b"new"}
    assert (real / "kept/c").read_bytes() == b"same"


@pytest.mark.parametrize("symlinks", ["follow", "error"])
@pytest.mark.parametrize("engine", ["boto3", "native"])
def test_E7_a_folder_swapped_during_a_download(
    world: Verifying, s3: S3Server, proxy: Proxy, outside: Path, symlinks: str, engine: str
) -> None:
    """Nothing is written outside, and what went into the folder that is gone is not proven."""
    objects = {f"sub/{name}": OURS for name in "abcd"}
    put(s3, world.bucket, objects)
    folder = world.data / "sub"

    def meanwhile(_request: object) -> None:
        deadline = time.monotonic() + 20
        while not (folder.is_dir() and list(folder.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.01)  # until the first file is on its way
        swap(folder, outside)

    fault = proxy.fault(Call(meanwhile), op="GetObject", key="x/sub/d", times=1)
    settings = {"symlinks": symlinks, "engine": engine, "max_concurrency": 1}
    with pytest.raises(WaybillError, match="data/sub: the folder was moved, removed or replaced"):
        world.move("download", **settings)
    assert fault.hits == 1
    assert list(outside.iterdir()) == []
    assert not list(world.results.glob("markers/*/*"))

    proxy.faults.clear()
    folder.unlink()
    world.move("download", **settings)
    assert files(world.data) == objects | {f"sub.aside/{name}": OURS for name in "abcd"}


def test_E7_a_download_against_a_racer(world: Verifying, s3: S3Server, outside: Path) -> None:
    objects = {f"sub/{number:02}": OURS for number in range(40)}
    put(s3, world.bucket, objects)
    (world.data / "sub").mkdir()
    with racing(world.data / "sub", outside), suppress(WaybillError):
        world.move("download", symlinks="error")
    assert list(outside.iterdir()) == []
    world.move("download", symlinks="error")
    assert files(world.data) == objects
    assert unfinished(world.data) == []


def test_E7_a_verification_follows_no_link_either(world: Verifying, outside: Path) -> None:
    """What was proven is a link now, to the same bytes: they are not those of the transfer."""
    for path in ("a", "sub/b", "stays"):
        write(world.data / path, OURS)
    world.move(symlinks="skip")
    write(outside / "a", OURS)
    write(outside / "sub/b", OURS)
    swap(world.data / "a", outside / "a")
    swap(world.data / "sub", outside / "sub")
    (world.data / "a.aside").unlink()
    (world.data / "sub.aside").rename(world.folder / "moved")
    for depth in ("listing", "content"):
        found = world.verify(depth, symlinks="skip")
        assert found["a"] == "! source a is a symbolic link, which is not followed"
        assert found["sub/b"] == "! source sub is a symbolic link, which is not followed"
        assert found["stays"] == "= both"
    followed = world.signs("content", symlinks="follow")
    assert set(followed.values()) == {"= both"}

    listed = world.folder / "list"
    sha256 = hashlib.sha256(OURS).hexdigest()
    listed.write_text(f"{sha256}  sub/b\n{sha256}  stays\n")
    for symlinks, sign in (("follow", "= both"), ("error", "! destination")):
        against = {"against": str(listed)}
        found = world.signs("content", symlinks=symlinks, verify=against)
        assert (found["sub/b"], found["stays"]) == (sign, "= both")
