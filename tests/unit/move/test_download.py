"""One download job by itself, between a real server and a folder: what an earlier job left, and
what stands or appears at the destination."""

import errno
import os
import random
import re

import pytest

from support.downloads import MIB, RangeFault, range_number
from support.objects import keys
from support.proxy import Call, Fault, Reset, not_implemented
from support.transfers import transfer_of
from waybill.model.difference import CHANGED, KEEP, MOVE, NEW, UNCHANGED, Difference
from waybill.model.errors import WaybillError
from waybill.model.target_names import partial_name
from waybill.move import download
from waybill.move.download import Downloader
from waybill.results import journal
from waybill.results.journal import Journal
from waybill.s3.engine import base

LARGE = 65 * MIB
CUT = 15 * MIB // 2  # no tool has such parts, but as many of LARGE as parts of 8 MiB


def some_bytes(seed, size):
    rng = random.Random(seed)
    block = rng.randbytes(MIB)
    return b"".join(rng.randbytes(8) + block for _ in range(size // MIB + 1))[:size]


class PartFault(Fault):
    """A fault of questions for one part."""

    def take(self, request):
        return "partNumber" in request.query and super().take(request)


class Job:
    """Objects under ``data/``, a folder, and jobs one after the other with one journal."""

    def __init__(self, s3, proxy, bucket, tmp_path):
        self.client, self.proxy, self.bucket = s3.client(), proxy, bucket
        self.folder = tmp_path / "in"
        self.folder.mkdir()
        self.journal = tmp_path / "journal.jsonl"
        self.settings = {}

    def put(self, path, data, **more):
        self.client.put_object(Bucket=self.bucket, Key=f"data/{path}", Body=data, **more)

    def put_in_parts(self, path, data):
        """An object in parts of CUT, without a checksum of its own."""
        at = {"Bucket": self.bucket, "Key": f"data/{path}"}
        upload = self.client.create_multipart_upload(**at)["UploadId"]
        parts = []
        for number, start in enumerate(range(0, len(data), CUT), 1):
            answer = self.client.upload_part(
                **at, UploadId=upload, PartNumber=number, Body=data[start : start + CUT]
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.client.complete_multipart_upload(
            **at, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def item(self, path, status=NEW, action=MOVE):
        """The entry of an object, as a diff that saw both sides just now tells it."""
        head = self.client.head_object(Bucket=self.bucket, Key=f"data/{path}")
        try:
            there = (self.folder / path).stat()
            seen = there.st_mtime_ns, there.st_ino
        except FileNotFoundError:
            seen = 0, 0
        etag, time = head["ETag"].strip('"'), str(int(head["LastModified"].timestamp()) * 10**9)
        size = head["ContentLength"]
        return Difference(status, action, path, size, *seen, "", etag, time, "")

    def run(self, *items):
        """The outcome of a job; what was asked for meanwhile is in ``asked``."""
        chosen = {"results": self.folder.parent / "results", "max_concurrency": 1, **self.settings}
        transfer = transfer_of(self.folder, self.bucket, "data/", down=True, **chosen)
        self.proxy.clear()
        with Journal(self.journal, "run") as open_journal:
            record = journal.read([self.journal], "run")
            return Downloader(transfer, open_journal, record, "run", False).run(list(items))

    @property
    def asked(self):
        return [range_number(r) for r in self.proxy.select(op="GetObject")]

    @property
    def unfinished(self):
        return list(self.folder.rglob(".waybill-*"))

    def fail(self, *items):
        """The messages of a job that fails, by path."""
        return {failure.path: failure.message for failure in self.run(*items).failed}


@pytest.fixture
def job(s3, proxy, bucket, tmp_path, monkeypatch):
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(base.time, "sleep", lambda _seconds: None)
    job = Job(s3, proxy, bucket, tmp_path)
    yield job
    for key in keys(s3, bucket):
        job.client.delete_object(Bucket=bucket, Key=key)


def begin(job, path):
    """A job that ends with three of five ranges in the file."""
    broken = RangeFault(Reset(0, "response"), number=4)
    job.proxy.faults.append(broken)
    assert re.search("keeps breaking off|cannot reach", job.fail(job.item(path))[path])
    job.proxy.faults.remove(broken)
    (partial,) = job.unfinished
    assert not (job.folder / path).exists()
    return partial


def spoil(partial, at):
    with partial.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_what_an_earlier_job_fetched_is_kept_and_checked(job):
    data = some_bytes(1, LARGE)
    job.put("a", data)
    begin(job, "a")
    assert job.run(job.item("a")).failed == []
    assert job.asked in ([4], [4, 5])  # the fifth may have come after the fourth failed
    assert (job.folder / "a").read_bytes() == data
    assert job.unfinished == []

    job.journal.unlink()
    (job.folder / "a").unlink()
    spoil(begin(job, "a"), 20 * MIB)
    assert job.run(job.item("a")).failed == []
    assert job.asked in ([4, 1, 2, 3, 4, 5], [4, 5, 1, 2, 3, 4, 5])
    assert (job.folder / "a").read_bytes() == data


def test_what_cannot_be_checked_is_not_resumed(job):
    """A store that tells neither a checksum nor how the object was cut."""
    data = some_bytes(2, LARGE)
    job.put_in_parts("a", data)
    job.proxy.faults += [PartFault(not_implemented("partNumber"))]
    spoil(begin(job, "a"), 20 * MIB)
    assert job.run(job.item("a")).failed == []
    assert job.asked == [1, 2, 3, 4, 5]
    assert (job.folder / "a").read_bytes() == data


def test_another_object_of_the_same_size_begins_anew(job):
    job.put("a", some_bytes(3, LARGE))
    begin(job, "a")
    data = some_bytes(4, LARGE)
    job.put("a", data)
    assert job.run(job.item("a")).failed == []
    assert job.asked == [1, 2, 3, 4, 5]
    assert (job.folder / "a").read_bytes() == data


def test_a_finished_file_is_done_as_long_as_it_stays(job):
    job.put("a", b"1")
    first = job.run(job.item("a")).proofs
    item = job.item("a")._replace(mtime_ns=0, inode=0)
    assert job.run(item).proofs == first
    assert job.asked == []
    (job.folder / "a").write_bytes(b"mine")
    message = job.fail(item)["a"]
    assert message == "appeared at the destination since the inventory; not touched; run again"
    assert (job.folder / "a").read_bytes() == b"mine"
    assert job.unfinished == []


def test_what_appears_or_changes_meanwhile_is_not_touched(job):
    names = ("appears", "appears the same", "appears as a folder", "changes", "goes")
    for name in names:
        job.put(name, b"object")
    for name in ("changes", "goes"):
        (job.folder / name).write_bytes(b"before")
    there = [job.item(name) for name in names[:3]]
    there += [job.item(name, CHANGED) for name in names[3:]]

    def meanwhile(request):
        match request.key.removeprefix("data/"):
            case "appears" | "changes" as name:
                (job.folder / name).write_bytes(b"theirs")
            case "appears the same" as name:
                (job.folder / name).write_bytes(b"object")
            case "appears as a folder" as name:
                (job.folder / name).mkdir()
            case "goes" as name:
                (job.folder / name).unlink()

    job.proxy.fault(Call(meanwhile), op="GetObject")
    failed = job.fail(*there)
    again = "at the destination since the inventory; not touched; run again"
    assert failed.pop("appears") == f"appeared {again}"
    assert failed.pop("changes") == f"changed {again}"
    assert "Is a directory" in failed.pop("appears as a folder")
    assert failed == {}
    for name, data in (("appears", b"theirs"), ("changes", b"theirs"), ("goes", b"object")):
        assert (job.folder / name).read_bytes() == data
    assert job.unfinished == []


def test_what_needs_no_download_leaves_nothing_unfinished(job):
    job.put("a", b"1")
    (job.folder / "a").write_bytes(b"1")
    os.link(job.folder / "a", job.folder / partial_name("a"))
    assert job.run(job.item("a", UNCHANGED, KEEP)).failed == []
    assert job.unfinished == []
    assert (job.folder / "a").read_bytes() == b"1"


@pytest.mark.parametrize("symlinks", ["follow", "skip", "error"])
def test_links_to_folders(job, tmp_path, symlinks):
    """What lies behind one is outside, and nothing is written there."""
    job.settings["symlinks"] = symlinks
    (tmp_path / "outside").mkdir()
    (job.folder / "link").symlink_to(tmp_path / "outside")
    paths = ("link/", "link/a", "link/deep/a", "link/folder/")
    for path in paths:
        job.put(path, b"")
    failed = job.fail(*(job.item(path) for path in paths))
    (message,) = set(failed.values())
    assert message.startswith("the destination has a symbolic link where a folder must be: link;")
    assert sorted(failed) == sorted(paths)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_disk_without_links_and_locks(job, monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("fcntl.flock", refuse)
    job.put("a", b"1")
    assert job.run(job.item("a")).failed == []
    assert (job.folder / "a").read_bytes() == b"1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(job, monkeypatch, number):
    """It ends the job; a limit that only this file meets does not."""

    def full(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", full)
    job.put("a", b"1")
    assert job.fail(job.item("a"))["a"].startswith(f"cannot be written: {os.strerror(number)}")
    usage = download.shutil.disk_usage(job.folder)._replace(free=0)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(WaybillError, match="the destination is full"):
        job.run(job.item("a"))
    assert job.unfinished == []
