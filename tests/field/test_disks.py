"""File systems that do not tell or do what others do."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.proxy import Proxy
from support.server import S3Server
from support.transfers import transfer_of
from support.walking import paths, walk
from waybill.inventory.walk import Walk
from waybill.model.difference import CHANGED, MOVE, NEW, Difference
from waybill.model.entries import LocalEntry
from waybill.move.download import Downloader
from waybill.presets.illumina import runs, sample_sheet
from waybill.results import journal
from waybill.results.journal import Journal
from waybill.system import files, locks


class Entry:
    """An entry of a folder that cannot be looked at. A file system ``with_kinds`` tells in the
    listing of the folder what it is."""

    def __init__(self, real: os.DirEntry[str], number: int, *, with_kinds: bool) -> None:
        self._real, self._number, self._with_kinds = real, number, with_kinds
        self.name, self.path = real.name, real.path

    def _kind(self, ask: Callable[..., bool]) -> bool:
        if not self._with_kinds:
            self.stat()
        return ask(follow_symlinks=False)

    def is_symlink(self) -> bool:
        return self._kind(lambda follow_symlinks: self._real.is_symlink())

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._kind(self._real.is_file)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._kind(self._real.is_dir)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise OSError(self._number, os.strerror(self._number), self.path)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has entries of these names be such that they cannot be looked at."""

    def begin(*names: str, number: int = errno.EIO, with_kinds: bool = False) -> None:
        real = os.scandir

        class Scan:
            def __init__(self, path: Any) -> None:
                self._scan = real(path)

            def __enter__(self) -> Scan:
                return self

            def __exit__(self, *_: object) -> None:
                self.close()

            def close(self) -> None:
                self._scan.close()

            def __iter__(self) -> Iterator[Any]:
                for item in self._scan:
                    if item.name in names:
                        yield Entry(item, number, with_kinds=with_kinds)
                    else:
                        yield item

        monkeypatch.setattr(os, "scandir", Scan)

    return begin


EVERYTHING = ["a.tif", "b.csv", "more/c.tif", "more/d.csv"]


@pytest.mark.parametrize("symlinks", ["follow", "skip", "error"])
@pytest.mark.parametrize("with_kinds", [False, True], ids=["no kinds", "kinds"])
def test_B2_an_entry_that_cannot_be_looked_at_is_one_line(
    tree: Path, unseen: Callable[..., None], with_kinds: bool, symlinks: str
) -> None:
    unseen("b.csv", with_kinds=with_kinds)
    found = walk(tree, symlinks=symlinks)
    assert paths(found) == [path for path in EVERYTHING if path != "b.csv"]
    assert found.refused == {"b.csv": "cannot stat: Input/output error"}


@pytest.mark.parametrize("with_kinds", [False, True], ids=["no kinds", "kinds"])
def test_B2_a_folder_that_cannot_be_looked_at_is_never_passed_over(
    tree: Path, unseen: Callable[..., None], with_kinds: bool
) -> None:
    """Its name matches no pattern, but files in it may."""
    unseen("more", "b.csv", number=errno.EACCES, with_kinds=with_kinds)
    found = walk(tree, "*.tif")
    assert paths(found) == ["a.tif"]
    assert found.refused["more"] == "cannot stat: Permission denied"
    # A file that is not selected is no failure, where the file system tells that it is a file.
    assert set(found.refused) == ({"more"} if with_kinds else {"more", "b.csv"})
    assert walk(tree, "*.tif", exclude=["more/", "b.csv"]).refused == {}


def test_B2_an_entry_that_is_gone_was_never_there(tree: Path, unseen: Callable[..., None]) -> None:
    unseen("b.csv", "more", number=errno.ENOENT)
    found = walk(tree)
    assert (paths(found), found.refused) == (["a.tif"], {})


@pytest.mark.parametrize("symlinks", ["follow", "error"])
def test_B2_a_folder_that_goes_away_is_one_line(
    tree: Path, monkeypatch: pytest.MonkeyPatch, symlinks: str
) -> None:
    enter = Walk._enter

    def _enter(self: Walk, path: str, *more: Any) -> None:
        enter(self, path, *more)
        for file in (tree / path).iterdir():
            file.unlink()
        (tree / path).rmdir()

    monkeypatch.setattr(Walk, "_enter", _enter)
    found = walk(tree, symlinks=symlinks)
    assert paths(found) == ["a.tif", "b.csv"]
    assert list(found.refused) == ["more/"]
    assert "it went away while it was looked at; run again" in found.refused["more/"]


def test_B2_a_listing_that_breaks_off_keeps_what_it_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    class Broken:
        def __init__(self, path: Any) -> None:
            self._scan, self._breaks = real(path), str(path).rstrip("/").endswith("more")

        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            self._scan.close()

        def __iter__(self) -> Iterator[Any]:
            for item in self._scan:
                yield item
                if self._breaks:
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "scandir", Broken)
    found = walk(tree)
    assert len(paths(found)) == 3
    assert "cannot list the folder: Stale file handle" in found.refused["more/"]


def test_B2_the_run_finder_goes_on(tmp_path: Path, unseen: Callable[..., None]) -> None:
    for name in ("run_1", "run_2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "RunInfo.xml").write_bytes(b"<x/>")
    unseen("run_2")
    found = runs.find([tmp_path])
    assert found.runs == [tmp_path / "run_1"]
    assert found.problems == [(tmp_path / "run_2", "cannot look at the folder: Input/output error")]
    with pytest.raises(sample_sheet.SheetError, match="cannot be listed: Input/output error"):
        (tmp_path / "run_1" / "SampleSheet.csv").write_bytes(b"")
        unseen("SampleSheet.csv")
        sample_sheet.samples(tmp_path / "run_1")


class Job:
    """Downloads into a folder, one job after the other."""

    def __init__(self, s3: S3Server, proxy: Proxy, bucket: str, folder: Path) -> None:
        self.client, self.proxy, self.bucket = s3.client(), proxy, bucket
        self.folder = folder / "in"
        self.folder.mkdir()
        self.journal = folder / "journal.jsonl"

    def item(self, path: str, data: bytes, status: str = NEW) -> Difference:
        key = f"data/{path}"
        self.client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            Metadata={"source-mtime": "1000000000.000000001"},
        )
        head = self.client.head_object(Bucket=self.bucket, Key=key)
        there = self.folder / path
        seen = (there.stat().st_mtime_ns, there.stat().st_ino) if there.exists() else (0, 0)
        etag, when = head["ETag"].strip('"'), str(int(head["LastModified"].timestamp()) * 10**9)
        return Difference(status, MOVE, path, len(data), *seen, "", etag, when, "")

    def run(self, *items: Difference, engine: str = "native") -> Any:
        transfer = transfer_of(
            self.folder, self.bucket, "data/", down=True, engine=engine,
            results=self.folder.parent / "results",
        )  # fmt: skip
        with Journal(self.journal, "run") as open_journal:
            record = journal.read([self.journal], "run")
            return Downloader(transfer, open_journal, record, "run", False).run(list(items))


@pytest.fixture
def job(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Job:
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    return Job(s3, proxy, bucket, tmp_path)


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Have the file system refuse a call about files that Waybill writes."""

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refused)


LARGE = b"large" * (3 << 20)  # fetched in blocks, not into memory


@pytest.mark.parametrize(
    ("call", "number", "meaning"),
    [
        ("utime", errno.EPERM, "they have the time of the download, not that of the source"),
        ("utime", errno.EACCES, "they have the time of the download"),
        ("utime", errno.ENOTSUP, "they have the time of the download"),
        ("fchmod", errno.EPERM, "they do not have the permissions of the files that they replaced"),
        ("fchmod", errno.ENOTSUP, "they do not have the permissions"),
        ("fsync", errno.EINVAL, "a power cut may cost the last of them"),
        ("fsync", errno.EOPNOTSUPP, "a power cut may cost the last of them"),
        ("fsync", errno.ENOSYS, "a power cut may cost the last of them"),
    ],
)
@pytest.mark.parametrize("engine", ["boto3", "native"])
def test_B12_a_file_is_kept_though_the_file_system_refuses_something(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    call: str, number: int, meaning: str, engine: str,
) -> None:  # fmt: skip
    (job.folder / "changed").write_bytes(b"before")
    (job.folder / "changed").chmod(0o640)
    items = [job.item("changed", b"after", CHANGED)]
    items += [job.item(f"new-{number}", b"n" * 10) for number in range(3)]
    items.append(job.item("large", LARGE))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        refuse(patch, call, number)
        outcome = job.run(*items, engine=engine)
    assert outcome.failed == []
    assert outcome.proofs.keys() == {item.path for item in items}
    assert (job.folder / "changed").read_bytes() == b"after"
    assert (job.folder / "large").read_bytes() == LARGE
    (line,) = (line for line in caplog.messages if "refused" in line)
    count = 1 if call == "fchmod" else 5
    assert f"{count} files kept, though the file system refused {call} " in line
    assert f"({os.strerror(number)}): " in line
    assert meaning in line
    dated = {path.stat().st_mtime_ns == 10**18 + 1 for path in job.folder.iterdir()}
    assert dated == {call != "utime"}
    mode = stat.S_IMODE((job.folder / "changed").stat().st_mode)
    assert (mode == 0o640) is (call != "fchmod")
    for item in items:  # each proof is that of the file as it is
        status = (job.folder / item.path).stat()
        assert outcome.proofs[item.path].is_of(status.st_size, status.st_mtime_ns, status.st_ino)


@pytest.mark.parametrize(
    ("call", "number"),
    [("fsync", errno.EIO), ("fsync", errno.ENOSPC), ("utime", errno.EIO), ("fchmod", errno.EIO)],
)
def test_B12_a_broken_disk_stays_an_error(
    job: Job, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    (job.folder / "f").write_bytes(b"before")
    (job.folder / "f").chmod(0o640)
    item = job.item("f", b"after", CHANGED)
    with monkeypatch.context() as patch:
        refuse(patch, call, number)
        outcome = job.run(item)
    assert [failure.path for failure in outcome.failed] == ["f"]
    assert os.strerror(number) in outcome.failed[0].message
    assert (job.folder / "f").read_bytes() == b"before"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.EIO])
def test_B12_results_are_kept_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, "fsync", number)
    file = tmp_path / "file"
    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            files.write_atomic(file, b"x", sync=True)
        assert list(tmp_path.iterdir()) == []
        return
    files.write_atomic(file, b"x", sync=True)
    assert file.read_bytes() == b"x"


def test_B12_an_entry_is_told_by_its_kind(tree: Path) -> None:
    """LocalEntry has the time as the file system gives it, whatever that is."""
    os.utime(tree / "a.tif", ns=(-7, -7))
    entry = walk(tree).entries[0]
    assert entry == LocalEntry("a.tif", 1, (tree / "a.tif").stat().st_mtime_ns, entry.inode)


# B3: a file system without flock


def test_B3_a_file_system_without_locks_is_told_once_and_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The results, the destination of a download, and the journal of a batch."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    os.close(locks.lock(tmp_path / "results" / "lock"))
    (said,) = caplog.messages
    assert f"{tmp_path}/results: the file system has no locks" in said
    assert "with the mount option flock" in said
    assert locks.lock_folder(tmp_path / "in") is None
    with Journal(tmp_path / "journal.jsonl", "run"):
        pass
    assert len(caplog.messages) == 1
