"""Files that are not what the file system says about them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from doors import Door

from support.failing import fleet, the_failures
from support.objects import keys
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Workflow
from waybill.model.entries import LocalEntry
from waybill.model.errors import EntryError
from waybill.system.hashing import opened, read_range, read_small, sha256_of
from waybill.verify.folder import look_at
from waybill.verify.judge import Look

ENDLESS = Path("/proc/version")  # has content, and a size of 0
SHORT = Path("/sys/kernel/uevent_seqnum")  # has some bytes, and a size of 4,096
COPY = "no size to rely on: copy it to a regular file, or exclude it"
MORE = f"holds more than the 0 bytes of its size; {COPY}"


@pytest.mark.parametrize("one_job", [True, False])
def test_A3_a_file_with_more_or_less_than_its_size_is_named(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, one_job: bool
) -> None:
    # Their times are those of an inode that the kernel may forget unless somebody has it open.
    with ENDLESS.open(), fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        for engine in ("boto3", "native"):
            way = ships.add(engine, {"kept": b"1", "empty": b""}, engine=engine)
            (way.folder / "more").symlink_to(ENDLESS)
        run = ships.run(code=1, config=f"one_job_per_batch={one_job}")
        for engine, way in ships.ways.items():
            the_failures(run, engine, [("more: ", MORE)])
            way.check_nothing_claimed()
    assert keys(s3, bucket) == [f"{e}/{n}" for e in ("boto3", "native") for n in ("empty", "kept")]


def test_A3_a_door_names_it_too(door: Door) -> None:
    door.write("a.h5ad")
    (door.data / "b.h5ad").symlink_to(ENDLESS)
    with ENDLESS.open():
        said = door.run("gut-v1", "--yes", code=1)
    assert f"FAILED b.h5ad: {MORE}" in said.err
    assert said.puts() == ["gut/gut-v1/source-datasets/a.h5ad"]
    assert door.manifests() == []


def in_ranges(folder: Path, entry: LocalEntry) -> bytes:
    """As large files are read, and those that are compared by MD5."""
    with opened(folder, entry) as descriptor:
        return read_range(descriptor, entry.path, 0, entry.size)


def verified(folder: Path, entry: LocalEntry) -> None:
    look = Look(entry.path, "", entry.size, "0" * 64, "", "", entry.mtime_ns, 0, complete=True)
    (found,) = look_at(folder, look)
    raise EntryError(entry.path, found.reason)


Reader = Callable[[Path, LocalEntry], object]
READERS = pytest.mark.parametrize("reader", [read_small, sha256_of, in_ranges, verified])


def entry_of(path: Path, size: int) -> LocalEntry:
    status = path.stat()
    return LocalEntry(path.name, size, status.st_mtime_ns, status.st_ino)


@READERS
@pytest.mark.parametrize("size", [0, 1, 5])
def test_A3_no_reader_takes_the_beginning_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader, size: int
) -> None:
    """A file system that tells a size too small, as FUSE may with direct I/O."""
    file = tmp_path / "file"
    file.write_bytes(b"longer")
    tell(monkeypatch, size)
    with pytest.raises(EntryError) as caught:
        reader(tmp_path, entry_of(file, size))
    assert str(caught.value) == f"holds more than the {size} bytes of its size; {COPY}"


@READERS
def test_A3_no_reader_waits_for_bytes_that_never_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader
) -> None:
    """A size too large, as sysfs tells it: to run again does not help."""
    file = tmp_path / "file"
    file.write_bytes(b"short")
    tell(monkeypatch, 4096)
    with pytest.raises(EntryError) as caught:
        reader(tmp_path, entry_of(file, 4096))
    assert str(caught.value) == f"holds 5 bytes, its size says 4096; {COPY}"
    monkeypatch.undo()
    if SHORT.exists():
        with SHORT.open(), pytest.raises(EntryError, match="its size says 4096"):
            reader(SHORT.parent, entry_of(SHORT, 4096))


def tell(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Open files are said to have this size."""
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        told = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        return os.stat_result([*status[:6], size, *status[7:]], told)

    monkeypatch.setattr(os, "fstat", fstat)
