"""All of a batch in one job, beside another copy of the same job."""

import hashlib
import threading

import pytest

from support.verifying import Verifying
from waybill import journal, marker, stage_move, stages, state
from waybill.entries import read_local
from waybill.layout import Layout
from waybill.marker import Proof
from waybill.task import Task

FILES = {f"f{i}": b"%d" % i * 10 for i in range(5)}


@pytest.fixture
def task(tmp_path, proxy, bucket, monkeypatch):
    """The upload of the one batch of a folder."""
    world = Verifying(tmp_path, proxy, bucket, monkeypatch)
    for name, data in FILES.items():
        (world.data / name).write_bytes(data)
    transfer = world.transfer()
    layout = Layout(transfer.results)
    stages.inventory(Task(transfer, layout, "inventory"))
    ((dataset, batch),) = layout.batches()
    return Task(transfer, layout, "upload", dataset, batch)


def test_what_another_copy_has_done_is_not_sent_again(task, proxy, s3, bucket, monkeypatch):
    """It is known before anything is decided: a copy that waits has decided nothing."""
    monkeypatch.setattr(journal, "POLL_SECONDS", 0.01)
    layout, names = task.layout, (task.dataset, task.batch)
    with journal.Journal(layout.journal(*names), state.read(layout).run) as first:
        second = threading.Thread(target=stage_move.move, args=(task,))
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
    real = stage_move.checksum.sha256_of
    monkeypatch.setattr(
        stage_move.checksum, "sha256_of", lambda *a: opened.append(a[1].path) or real(*a)
    )
    stage_move.move(task)
    assert opened == []  # hashed as it was sent, by the upload alone
    table = task.layout.checksums(task.dataset, task.batch).read_text()
    assert table.count("\n") == len(FILES)
    for name, data in FILES.items():
        assert f"{hashlib.sha256(data).hexdigest()}  {name}\n" in table
