"""All of a batch in one job, beside another copy of the same job."""

import hashlib
import os
import threading

import pytest
from awscrt.checksums import crc64nvme

from support.verifying import Verifying
from waybill.model.errors import ReportedError
from waybill.move import upload
from waybill.results import journal, marker, state
from waybill.results.batch_tables import read_cache, read_local
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.s3.engine.limit import Gate
from waybill.s3.engine.native import AHEAD, NativeEngine
from waybill.s3.parts import MULTIPART_ABOVE_BYTES
from waybill.stages import compare, move, rules
from waybill.stages.task import Task

FILES = {f"f{i}": b"%d" % i * 10 for i in range(5)}


@pytest.fixture
def task(tmp_path, proxy, bucket, monkeypatch):
    """The upload of the one batch of a folder."""
    world = Verifying(tmp_path, proxy, bucket, monkeypatch)
    for name, data in FILES.items():
        (world.data / name).write_bytes(data)
    transfer = world.transfer()
    layout = Layout(transfer.results)
    rules.inventory(Task(transfer, layout, "inventory"))
    ((dataset, batch),) = state.batches(layout)
    return Task(transfer, layout, "upload", dataset, batch)


def test_what_another_copy_has_done_is_not_sent_again(task, proxy, s3, bucket, monkeypatch):
    """It is known before anything is decided: a copy that waits has decided nothing."""
    monkeypatch.setattr(journal, "POLL_SECONDS", 0.01)
    layout, names = task.layout, (task.dataset, task.batch)
    with journal.Journal(layout.journal(*names), state.read(layout).run) as first:
        second = threading.Thread(target=move.move, args=(task,))
        second.start()
        second.join(0.3)
        for entry in read_local(layout.local(*names)):
            key, data = f"x/{entry.path}", FILES[entry.path]
            sha256 = hashlib.sha256(data).hexdigest()
            answer = s3.client().put_object(Bucket=bucket, Key=key, Body=data)
            etag = answer["ETag"].strip('"')
            times = (entry.size, entry.mtime_ns)
            first.done(Proof(entry.path, key, *times, sha256, etag, "", "2026-01-01T00:00:00Z"))
    second.join(30)
    assert not second.is_alive()
    assert proxy.count(op="PutObject") == 0
    assert {proof.path for proof in marker.read(layout.marker(*names))} == FILES.keys()


def test_a_file_that_is_not_there_yet_is_read_once(task, monkeypatch):
    opened = []
    real = move.checksum.checksums_of
    monkeypatch.setattr(
        move.checksum, "checksums_of", lambda *a: opened.append(a[1].path) or real(*a)
    )
    move.move(task)
    assert opened == []  # hashed as it was sent, by the upload alone
    table = task.layout.checksums(task.dataset, task.batch).read_text()
    assert table.count("\n") == len(FILES)
    for name, data in FILES.items():
        assert f"{hashlib.sha256(data).hexdigest()}  {name}\n" in table


LARGE = MULTIPART_ABOVE_BYTES + 1


@pytest.fixture
def large(tmp_path, proxy, bucket, monkeypatch):
    """The upload of a folder with one file that goes in parts; the task and the file."""
    world = Verifying(tmp_path, proxy, bucket, monkeypatch)
    file = world.data / "large"
    file.write_bytes(os.urandom(1 << 20) * (LARGE >> 20) + b"!")
    os.utime(file, (1, 1))
    transfer = world.transfer()
    layout = Layout(transfer.results)
    rules.inventory(Task(transfer, layout, "inventory"))
    ((dataset, batch),) = state.batches(layout)
    return Task(transfer, layout, "upload", dataset, batch), file


def test_a_large_file_is_hashed_right_before_it_goes(large, monkeypatch, s3, bucket):
    task, file = large
    hashed = []
    real = upload.checksums_of
    monkeypatch.setattr(upload, "checksums_of", lambda *a: hashed.append(a[1].path) or real(*a))
    move.move(task)
    assert hashed == ["large"]
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    (proof,) = marker.read(task.layout.marker(task.dataset, task.batch))
    assert (proof.size, proof.sha256) == (LARGE, sha256)
    head = s3.client().head_object(Bucket=bucket, Key=proof.key)
    assert head["Metadata"]["source-sha256"] == sha256
    assert f"{sha256}  large\n" in task.layout.checksums(task.dataset, task.batch).read_text()
    assert "\tlarge\t" in task.layout.diff(task.dataset, task.batch).read_text()


def test_the_upload_of_the_chain_does_not_hash_again(large, monkeypatch):
    """The checksum job has noted the CRC-64 of the file in the cache, with its SHA-256."""
    task, file = large
    rules.checksum(task.of_stage("checksum"))
    compare.compare(task.of_stage("diff"))
    data = file.read_bytes()
    sha256, crc = hashlib.sha256(data).hexdigest(), f"{crc64nvme(data):016x}"
    ((entry, noted),) = read_cache(task.layout.cache(task.dataset, task.batch))
    assert (entry.path, *noted) == ("large", sha256, crc)
    monkeypatch.setattr(upload, "checksums_of", None)
    move.upload(task)
    (proof,) = marker.read(task.layout.marker(task.dataset, task.batch))
    assert proof.sha256 == sha256


def test_a_cache_of_an_earlier_version_is_read(large):
    """It has no column for the CRC (revision 81c658d)."""
    task, _ = large
    rules.checksum(task.of_stage("checksum"))
    cache = task.layout.cache(task.dataset, task.batch)
    before = read_cache(cache)
    lines = [line.rpartition("\t")[0] for line in cache.read_text().splitlines()]
    cache.write_text("".join(f"{line}\n" for line in lines))
    assert lines[0].endswith("sha256")
    assert read_cache(cache) == [(e, noted._replace(crc64nvme="")) for e, noted in before]


def test_other_bytes_behind_the_same_size_and_time_are_found(large, monkeypatch, s3, bucket):
    """Written between the hash and the upload, by somebody who puts the time back."""
    task, file = large
    real = upload.checksums_of

    def hash_and_change(*arguments):
        found = real(*arguments)
        with file.open("r+b") as opened:
            opened.seek(LARGE // 2)
            opened.write(b"changed")
        os.utime(file, (1, 1))
        return found

    monkeypatch.setattr(upload, "checksums_of", hash_and_change)
    with pytest.raises(ReportedError):
        move.move(task)
    client = s3.client()
    assert "Contents" not in client.list_objects_v2(Bucket=bucket, Prefix="x/")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert not task.layout.marker(task.dataset, task.batch).exists()
    monkeypatch.setattr(upload, "checksums_of", real)
    move.move(task)
    (proof,) = marker.read(task.layout.marker(task.dataset, task.batch))
    assert proof.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_slow_disk_hands_on_no_more_than_can_wait(tmp_path, proxy, bucket, monkeypatch):
    """Files are then read side by side, and while S3 asks for a pause nothing is sent."""
    world = Verifying(tmp_path, proxy, bucket, monkeypatch)
    for i in range(300):
        (world.data / f"{i:03}").write_bytes(b"%d" % i)
    monkeypatch.setattr(upload.Uploader, "_is_quick", lambda *_: False)
    go, waiting, real = threading.Event(), [], NativeEngine.put_object
    monkeypatch.setattr(Gate, "pause", property(lambda _: 0.05))
    monkeypatch.setattr(Gate, "is_open", property(lambda gate: go.is_set() and not gate.is_full))
    monkeypatch.setattr(
        NativeEngine, "put_object", lambda self, *a: (waiting.append(self.ahead), real(self, *a))[1]
    )
    job = threading.Thread(target=world.move, kwargs={"engine": "native"})
    job.start()
    while job.is_alive() and not waiting:
        job.join(0.02)
    job.join(1)
    assert proxy.count(op="PutObject") == 0
    go.set()
    job.join(60)
    assert not job.is_alive()
    assert len(waiting) == 300
    assert max(waiting) <= AHEAD + 2 * 16
