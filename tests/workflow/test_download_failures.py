"""Downloads that cannot be done as they are: what fails is named, nothing else is touched, the
rest goes on, and a plain rerun does what is missing."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.downloads import MIB, add_download, fetched, files, put, remove_objects, unfinished
from support.failing import (
    Fleet,
    failures,
    fleet,
    the_failure,
    the_failures,
)
from support.limits import Limits
from support.proxy import Answer, Proxy, access_denied
from support.server import S3Server
from support.workflow import Workflow
from waybill.model.target_names import partial_name

LARGE = 65 * MIB
ONE = {"a file": b"its bytes"}
ROOM_BYTES = 4 * MIB


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships
    remove_objects(s3, bucket)


def test_keys_that_cannot_be_files(ships: Fleet, s3: S3Server) -> None:
    """They are refused by name; folder placeholders become folders."""
    leave = "it would leave the destination"
    refused = {
        "../up": leave,
        "a/../../up": leave,
        "/etc/passwd": leave,
        "C:/Windows": leave,
        "nul\0": "holds a NUL",
        "a//b": "empty folder name",
        "./a": '"."',
        "n" * 256: "a name of 256 bytes",
        "é" * 128: "a name of 256 bytes",
        "both": "other keys make it a folder",
        "stands": "a folder of this name stands in the destination",
        "here/below": "a file where a folder must be: here",
        "here/deep/below": "a file where a folder must be: here",
        "slash/": "ends in a slash but holds bytes",
        partial_name("fine"): "the name of an unfinished download",
    }
    fine = {"fine": b"fine", "both/below": b"1", "é" * 127: b"2", "folder/..data": b"3"}
    way = add_download(ships, s3, "keys", dict.fromkeys(refused, b"bad") | fine)
    for path in ("", "empty/", "folder/", "deep/er/"):
        put(s3, way, path, b"")
    mine = {"here": b"mine", "stands/mine": b"mine"}
    for path, data in mine.items():
        way.write(path, data)
    around = {path.name for path in way.folder.parent.iterdir()}
    for again in (False, True):
        run = ships.run(code=1)
        found = {line.partition(": ")[0]: line for line in failures(run, "keys")}
        assert len(found) == len(refused)
        for path, reason in refused.items():
            shown = path.replace("\0", r"\x00")
            assert found[shown].startswith(f"{shown}: refused: ")
            assert reason in found[shown]
        assert files(way.folder) == fine | mine
        assert (way.folder / "empty").is_dir()
        assert (way.folder / "deep/er").is_dir()
        assert unfinished(way.folder) == []
        assert {path.name for path in way.folder.parent.iterdir()} == around
        assert way.marked() == {*fine, "empty/", "folder/", "deep/er/"}
        if again:
            assert run.jobs == Counter(inventory=1)  # what is refused fails the job of the verdict
    assert fetched(way) == {path: [None] for path in fine}


@pytest.mark.engine
def test_what_cannot_be_read_or_written(ships: Fleet, s3: S3Server) -> None:
    archived = Answer(403, "InvalidObjectState", "The operation is not valid for the storage class")
    objects = {"a": b"1", "archived": b"2", "denied": b"3", "large": bytes(LARGE)}
    way = add_download(ships, s3, "objects", objects)
    way.fault(archived, op="GetObject", key="archived")
    way.fault(archived, op="GetObject", key="large")
    way.fault(access_denied(), op="GetObject", key="denied")
    closed = add_download(
        ships, s3, "closed", {"a": b"1", "sub/b": b"2", "dark/c": b"3", "secret": b"4", "pipe": b""}
    )
    for path in ("sub/there", "dark/there", "secret"):
        closed.write(path, b"m")
    os.mkfifo(closed.folder / "pipe")
    readonly = add_download(ships, s3, "readonly", ONE)
    shut = {closed.folder / "sub": 0o555, closed.folder / "dark": 0, readonly.folder: 0o555}
    for folder, mode in ({closed.folder / "secret": 0} | shut).items():
        folder.chmod(mode)

    run = ships.run(code=1, limits=Limits(permissions=True))

    url = f"s3://{ships.bucket}/objects"
    restore = "the object is archived; restore it"
    the_failures(
        run,
        "objects",
        [
            (f"archived: {url}/archived: {restore}",),
            (f"denied: {url}/denied: access denied to GetObject", "permission"),
            (f"large: {url}/large: {restore}",),
        ],
    )
    denied = "cannot be written: Permission denied ("
    the_failures(
        run,
        "closed",
        [
            ("dark/c: ", denied, f"{closed.folder}/dark/"),
            ("pipe: refused: not a regular file", "stands at the destination"),
            ("secret: cannot be read: Permission denied",),
            ("sub/b: ", denied, f"{closed.folder}/sub/"),
        ],
    )
    the_failure(run, "readonly", "a file: ", denied, str(readonly.folder))
    for ship in ships.ways.values():
        ship.check_nothing_claimed()
        assert unfinished(ship.folder) == []
    for folder in shut:
        folder.chmod(0o755)
    assert files(way.folder) == {"a": b"1"}
    assert (closed.folder / "secret").read_bytes() == b"m"

    (closed.folder / "secret").chmod(0o600)
    (closed.folder / "pipe").unlink()
    ships.mend()
    ships.run(limits=Limits(permissions=True))
    assert files(way.folder) == objects
    mine = {"sub/there": b"m", "dark/there": b"m"}
    given = {"a": b"1", "sub/b": b"2", "dark/c": b"3", "secret": b"4", "pipe": b""}
    assert files(closed.folder) == given | mine
    assert files(readonly.folder) == ONE
    assert "a" not in fetched(way) | fetched(closed)


def test_destinations_that_are_none(ships: Fleet, s3: S3Server, tmp_path: Path) -> None:
    """A file, a place below a file, and a Git work tree; a link to a folder, which is fine, and one
    below it, which is not; and a source that is none."""
    occupied = add_download(ships, s3, "occupied", ONE)
    occupied.folder.rmdir()
    occupied.folder.write_bytes(b"mine")
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine too")
    below = add_download(ships, s3, "below", ONE, destination=str(taken / "deep"))
    tree = tmp_path / "code"
    tree.mkdir()
    subprocess.run(["git", "init", "-q", tree], check=True)
    inside = {"destination": str(tree / "data" / "raw")}
    add_download(ships, s3, "refused", ONE, **inside)
    add_download(ships, s3, "allowed", ONE, allow_git_worktree=True, destination=str(tree / "in"))
    nowhere = "s3://waybill-no-such-bucket/data"
    add_download(ships, s3, "nowhere", {}, source=nowhere)
    linked = add_download(ships, s3, "linked", {"a": b"1", "sub/b": b"2"})
    linked.folder.rmdir()
    elsewhere, farther = tmp_path / "elsewhere", tmp_path / "farther"
    elsewhere.mkdir()
    farther.mkdir()
    linked.folder.symlink_to(elsewhere)
    (elsewhere / "sub").symlink_to(farther)

    run = ships.run(code=1)

    where = str(occupied.folder)
    # Said when the run begins, and once more at its end.
    assert set(failures(run, "occupied")) == {f"{where}: cannot be used: File exists"}
    assert set(failures(run, "below")) == {f"{taken}/deep: cannot be used: Not a directory"}
    assert occupied.folder.read_bytes() == b"mine"
    assert below.proxy.requests == []
    advice = "allow_git_worktree = true"
    the_failure(run, "refused", str(tree / "data" / "raw"), f"the Git work tree {tree};", advice)
    the_failure(run, "nowhere", nowhere, "'waybill-no-such-bucket' does not exist; Waybill never")
    assert files(tree / "in") == ONE
    assert not files(tree / "data")
    the_failure(run, "linked", "sub/b: the destination has a symbolic link where a folder must be")
    (elsewhere / "sub").unlink()
    assert (files(elsewhere), files(farther)) == ({"a": b"1"}, {})
    assert ships.run(code=2, config="transfers=refused").jobs == {}
    again = ships.run(config="transfers=linked,allowed")
    assert again.jobs["inventory"] == 2
    assert (files(elsewhere), files(farther)) == ({"a": b"1", "sub/b": b"2"}, {})


@contextmanager
def little_room(folder: Path) -> Iterator[dict[str, object]]:
    """A folder with room for a few MiB, and what a run needs for that: a disk of its own, or for
    somebody who may not mount one a limit on the size of each file."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", os.fspath(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0:
        try:
            yield {}
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    else:
        yield {"limits": Limits(file_bytes=ROOM_BYTES)}


@pytest.mark.engine
def test_a_full_disk(ships: Fleet, s3: S3Server) -> None:
    way = add_download(ships, s3, "full", {"a": b"1", "b": bytes(6 * MIB)})
    with little_room(way.folder) as how:
        run = ships.run(code=1, **how)
        if how:
            the_failure(run, "full", "b: cannot be written: File too large")
        else:
            full = "the destination is full (No space left on device); make room and run again"
            the_failure(run, "full", f"{way.folder}: {full}")
        way.check_nothing_claimed()
        assert not (way.folder / "b").exists()
        assert unfinished(way.folder) == []
        put(s3, way, "b", b"smaller")
        ships.run()
        assert files(way.folder) == {"a": b"1", "b": b"smaller"}


@pytest.mark.engine
def test_times_and_encodings(ships: Fleet, s3: S3Server) -> None:
    """A time no file can have does not fail a download, and bytes stay as they are stored."""
    way = add_download(ships, s3, "data", {})
    times = {
        "1970": ("0.000000001", 1),
        "before": ("-2.500000000", -1_500_000_000),
        "exact": ("1600000000.123456789", 1_600_000_000_123_456_789),
        "seconds": ("1600000000", 1_600_000_000_000_000_000),
        "late": ("99999999999.9", None),
        "early": ("-99999999999", None),
        "too many": ("123456789012.0", None),
        "nan": ("nan", None),
        "words": ("yesterday", None),
    }
    for path, (text, _) in times.items():
        put(s3, way, path, b"data", Metadata={"source-mtime": text})
    encoded = b"\x1f\x8b not really gzip"
    put(s3, way, "encoded.gz", encoded, ContentEncoding="gzip", ContentType="text/plain")
    ships.run()
    assert files(way.folder) == {**dict.fromkeys(times, b"data"), "encoded.gz": encoded}
    for path, (_, expected) in times.items():
        there = (way.folder / path).stat().st_mtime_ns
        if expected is not None:
            assert there == expected, path
        assert int(way.results.all("markers")[path]["mtime_ns"]) == there
    for path in ("nan", "words"):
        head = s3.client().head_object(Bucket=way.bucket, Key=f"data/{path}")
        assert (way.folder / path).stat().st_mtime == head["LastModified"].timestamp()
    assert ships.run().jobs == Counter(inventory=1, all=1)
