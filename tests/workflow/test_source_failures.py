"""Failures of the files themselves: what vanishes, changes, cannot be read or cannot be a key is
named and never marked; the other files move, and a rerun does only what is missing."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.failing import (
    Fleet,
    Way,
    failures,
    fleet,
    the_failures,
)
from support.limits import Limits
from support.objects import keys, stored
from support.proxy import Call, Proxy
from support.server import S3Server
from support.workflow import Workflow

LONG_AGO = 1_500_000_000 * 10**9  # ns; old enough for a hash to be kept
_IN_ACCESS = 1
ONCE = "start=once"  # a run with the token of the last one takes its inventory for granted
CHANGED = "changed since the inventory looked at it; run again"


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships


def age(path: Path, when: int = LONG_AGO) -> Path:
    os.utime(path, ns=(when, when))
    return path


@contextmanager
def at_first_read(path: Path, change: Callable[[], None]) -> Iterator[None]:
    """Call ``change`` once somebody has read from ``path`` for the first time (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_CLOEXEC)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(path), _IN_ACCESS) >= 0
    called = threading.Event()

    def wait() -> None:
        os.read(watch, 4096)
        change()
        called.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    assert called.wait(1), f"nobody has read {path}"
    os.close(watch)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def check_marked(way: Way, s3: S3Server, paths: set[str]) -> None:
    """Exactly these are marked, and their objects hold what the files hold."""
    assert way.marked() == paths
    for path in paths:
        data = stored(s3, way.bucket, way.prefix + path)
        assert data == (way.folder / path).read_bytes(), path


def test_what_a_walk_cannot_take(ships: Fleet, s3: S3Server) -> None:
    closed = ships.add("closed", {"a": b"1", "b": b"2", "sub/c": b"3", "other/d": b"4"})
    (closed.folder / "a").chmod(0)
    (closed.folder / "sub").chmod(0)
    for name in ("follow", "skip", "error"):
        folder = ships.add(name, {"a": b"1", "sub/b": b"2"}, symlinks=name).folder
        (folder / "broken").symlink_to("nowhere")
        (folder / "loop").symlink_to("loop")
        (folder / "sub" / "up").symlink_to("..")
        (folder / "good").symlink_to("a")
        os.mkfifo(folder / "fifo")
    run = ships.run(code=1, limits=Limits(permissions=True))

    denied = "Permission denied; give read permission"
    the_failures(run, "closed", [("a: cannot be read: ", denied), ("sub/: ", denied)])
    mend = ("mend or exclude it", 'symlinks = "skip"')
    the_failures(
        run,
        "follow",
        [
            ("broken: refused: broken symbolic link: No such file", *mend),
            ("loop: refused: broken symbolic link: Too many levels", *mend),
            ("sub/up: refused: symbolic link to a folder above itself", *mend),
        ],
    )
    links = ("broken", "good", "loop", "sub/up")
    the_failures(run, "error", [(f"{x}: refused: ", 'symlinks = "error"') for x in links])
    assert failures(run, "skip") == []
    assert "waybill: skip: 4 skipped: symbolic link" in run.lines
    for name in ("follow", "skip", "error"):
        assert f"waybill: {name}: 1 skipped: not a regular file" in run.lines
        aside = {row["path"]: row["reason"] for row in ships[name].results.table("plan.tsv")}
        assert aside["fifo"] == "skipped: not a regular file"
    check_marked(ships["follow"], s3, {"a", "good", "sub/b"})
    check_marked(ships["skip"], s3, {"a", "sub/b"})
    check_marked(ships["error"], s3, {"a", "sub/b"})
    closed.check_nothing_claimed()
    assert closed.puts() == ["b", "other/d"]

    ships.mend()
    (closed.folder / "a").chmod(0o600)
    (closed.folder / "sub").chmod(0o700)
    for name in ("follow", "error"):
        for link in links:
            (ships[name].folder / link).unlink()
    ships.run(limits=Limits(permissions=True))
    check_marked(closed, s3, {"a", "b", "sub/c", "other/d"})
    assert [way.puts() for way in ships.ways.values()] == [["a", "sub/c"], [], [], []]


def test_what_happens_between_the_stages(ships: Fleet, s3: S3Server) -> None:
    """Files that vanish or change after the inventory (``hashing``) and after their checksum
    (``sending``), each beside files that stay."""
    names = ("folder", "grown", "kept", "new-date", "vanished")
    files = {name: name.encode() * 5 for name in names}
    for name in ("hashing", "sending"):
        ships.add(name, files)
    hashed = [ONCE, "hash=true"]
    ships.run("results/hashing/inventory", "results/sending/plan.tsv", config=hashed)
    for name in ("hashing", "sending"):
        folder = ships[name].folder
        (folder / "vanished").unlink()
        grow(folder / "grown")
        age(folder / "new-date")
        (folder / "folder").unlink()
        (folder / "folder").mkdir()
    run = ships.run(code=1, config=ONCE)
    for name in ("hashing", "sending"):
        the_failures(
            run,
            name,
            [
                ("folder: ", CHANGED),
                ("grown: ", CHANGED),
                ("new-date: ", CHANGED),
                ("vanished: vanished since the inventory looked at it; run again",),
            ],
        )
        ships[name].check_nothing_claimed()
        assert ships[name].puts() == ["kept"]
    ships.mend()
    ships.run()
    for name in ("hashing", "sending"):
        check_marked(ships[name], s3, {"grown", "kept", "new-date"})
        assert ships[name].puts() == ["grown", "new-date"]


@pytest.mark.engine
def test_a_file_that_changes_while_it_is_read(ships: Fleet, s3: S3Server) -> None:
    """``grows`` and ``touched`` while they are hashed, ``sent`` while it is uploaded."""
    way = ships.add("reading", {"kept": b"1", "grows": b"", "touched": b"", "sent": b""})
    grows, touched, sent = (way.folder / name for name in ("grows", "touched", "sent"))
    for path, size in ((grows, 256 << 20), (touched, 256 << 20), (sent, 65 << 20)):
        os.truncate(path, size)  # takes its time, but no room
        age(path)
    way.fault(Call(lambda _: sent.touch()), op="UploadPart", times=1)
    with at_first_read(grows, lambda: grow(grows)), at_first_read(touched, touched.touch):
        run = ships.run(code=1)
    the_failures(
        run,
        "reading",
        [
            ("grows: changed while it was read; run again",),
            ("sent: ", CHANGED),
            ("touched: ", CHANGED),
        ],
    )
    hashed = set() if os.environ.get("TEST_ONE_JOB") else {"kept", "sent"}
    assert way.results.checksums().keys() == hashed
    way.check_nothing_claimed()
    assert way.puts() == ["kept", "sent"]
    ships.mend()
    for path in (grows, touched):
        os.truncate(path, 10)
    ships.run()
    check_marked(way, s3, {"kept", "grows", "touched", "sent"})
    assert way.puts() == ["grows", "touched"]  # what was sent is the file's content after all


@pytest.mark.engine
def test_other_bytes_behind_the_same_size_and_time(ships: Fleet, s3: S3Server) -> None:
    """Neither inventory nor cache can see it, but the bytes that are sent are looked at."""
    large = 65 << 20  # in parts
    way = ships.add("stale", {"kept": b"1", "small": b"before", "large": b"before"})
    os.truncate(way.folder / "large", large)
    for name in ("kept", "small", "large"):
        age(way.folder / name)
    ships.run("plan", config=[ONCE, "hash=true"])
    for name in ("small", "large"):
        with (way.folder / name).open("r+b") as file:
            file.write(b"after.")
        age(way.folder / name)
    run = ships.run(code=1, config=ONCE)
    stale = "its bytes changed since they were hashed; run again"
    the_failures(run, "stale", [(f"large: {stale}",), (f"small: {stale}",)])
    way.check_nothing_claimed()
    assert way.puts() == ["kept", "large"]
    assert keys(s3, ships.bucket) == ["stale/kept"]
    assert way.proxy.count(op="AbortMultipartUpload") == 1
    ships.mend()
    ships.run()
    check_marked(way, s3, {"kept", "small", "large"})
    assert way.puts() == ["large", "small"]


def test_a_source_around_its_own_results(ships: Fleet) -> None:
    """Everything in the folder is data, except what Waybill and Snakemake keep there."""
    way = ships.add("around", {"data": b"1"}, exclude=["output.log", "/config.toml"])
    ships.settings["around"]["source"] = str(ships.workflow.folder)
    way.write("../../results.txt", b"2")
    expected = ["in/around/data", "results.txt"]
    for _ in range(2):
        run = ships.run()
        assert [x for x in run.lines if x.startswith("waybill: around: 2 files")]
        assert way.puts() == expected
        assert way.marked() == set(expected)
    assert {p.name for p in ships.workflow.folder.iterdir()} >= {"results", ".snakemake"}
