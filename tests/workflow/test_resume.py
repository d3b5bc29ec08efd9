"""Large files cut off in the middle of their multipart upload: what is there is not sent again."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.objects import keys
from support.proxy import Delay, LoseResponse, Proxy, Request, Reset
from support.server import S3Server
from support.workflow import Running, Workflow

MIB = 1 << 20
PART_BYTES = 16 * MIB
KEY = "data/big.h5ad"


@pytest.fixture
def work(proxy: Proxy, bucket: str, tmp_path: Path, s3: S3Server) -> Iterator[Workflow]:
    work = Workflow(tmp_path, proxy)
    work.configure(t={"destination": f"s3://{bucket}/data"})
    yield work
    for key in keys(s3, bucket):  # the server keeps its objects in memory
        s3.client().delete_object(Bucket=bucket, Key=key)


def write_big(work: Workflow, size: int, seed: int) -> str:
    """A sparse file with other bytes in each part; returns its SHA-256."""
    rng = random.Random(seed)
    path = work.source / "big.h5ad"
    with path.open("wb") as file:
        file.truncate(size)
        for start in range(0, size, PART_BYTES):
            file.seek(start + rng.randrange(min(PART_BYTES, size - start) - 1000))
            file.write(rng.randbytes(1000))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parts(requests: list[Request]) -> list[Request]:
    return [r for r in requests if r.op == "UploadPart"]


def upload_ids(requests: list[Request]) -> set[str]:
    return {r.query["uploadId"] for r in requests if "uploadId" in r.query}


def kill_after_parts(running: Running, count: int) -> None:
    """Kill the run once ``count`` parts were answered; returns when the server is done too."""
    deadline = time.monotonic() + 120
    while sum(r.status == 200 for r in parts(running.requests)) < count:
        assert running.process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    running.kill()
    while any(r.seconds is None for r in running.requests):
        time.sleep(0.01)


def check_object(work: Workflow, s3: S3Server, bucket: str, sha256: str) -> None:
    """The object holds the file, everything tells the same hash, and no upload is left open."""
    answer = s3.client(response_checksum_validation="when_required").get_object(
        Bucket=bucket, Key=KEY
    )
    digest = hashlib.sha256()
    for block in answer["Body"].iter_chunks(MIB):
        digest.update(block)
    assert digest.hexdigest() == sha256
    assert answer["Metadata"]["source-sha256"] == sha256
    results = work.results("t")
    assert results.checksums() == {"big.h5ad": sha256}
    assert results.all("markers")["big.h5ad"]["etag"] == answer["ETag"].strip('"')
    assert [f["sha256"] for f in results.manifest()["files"]] == [sha256]
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)


@pytest.mark.engine
def test_a_large_file_goes_on_at_the_missing_parts(
    work: Workflow, s3: S3Server, bucket: str
) -> None:
    sha256 = write_big(work, 160 * MIB, seed=1)
    delay = work.proxy.fault(Delay(0.3), op="UploadPart")
    running = work.start(config="max_concurrency=2")
    kill_after_parts(running, 3)
    work.proxy.faults.remove(delay)
    before = parts(running.requests)
    arrived = {r.part for r in before if r.upstream_status == 200}
    known = {record["part"] for record in work.results("t").journal() if "part" in record}
    assert known <= arrived
    assert 0 < len(known) < 10
    assert work.results("t").files("markers") == []
    assert keys(s3, bucket) == []

    run = work.run()
    every = set(range(1, 11))
    sent = sorted(r.part for r in parts(run.requests))
    assert sent == sorted(every - known)
    assert len(arrived - known) <= 2  # those under way at the kill, by max_concurrency
    assert run.operations["CreateMultipartUpload"] == 0
    assert run.operations["CompleteMultipartUpload"] == 1
    assert len(upload_ids(running.requests) | upload_ids(run.requests)) == 1
    check_object(work, s3, bucket, sha256)
    assert work.run().jobs == Counter(inventory=1, all=1)


def cut_off(work: Workflow) -> set[str]:
    """Begin 80 MiB in five parts, one after the other, and kill after two; returns the upload."""
    delay = work.proxy.fault(Delay(0.3), op="UploadPart")
    running = work.start(config="max_concurrency=1")
    kill_after_parts(running, 2)
    work.proxy.faults.remove(delay)
    assert [r.part for r in parts(running.requests)][:2] == [1, 2]
    (upload,) = upload_ids(running.requests)
    return {upload}


@pytest.mark.engine
def test_another_file_of_the_same_size_starts_anew(
    work: Workflow, s3: S3Server, bucket: str
) -> None:
    write_big(work, 80 * MIB, seed=2)
    first = cut_off(work)
    sha256 = write_big(work, 80 * MIB, seed=3)
    run = work.run()
    assert sorted(r.part for r in parts(run.requests)) == [1, 2, 3, 4, 5]
    assert run.operations["CreateMultipartUpload"] == 1
    aborted = [r.query["uploadId"] for r in run.requests if r.op == "AbortMultipartUpload"]
    assert set(aborted) == first
    assert len(aborted) == 1
    assert first.isdisjoint(upload_ids(parts(run.requests)))
    check_object(work, s3, bucket, sha256)


@pytest.mark.engine
def test_an_upload_that_is_gone_starts_anew(work: Workflow, s3: S3Server, bucket: str) -> None:
    sha256 = write_big(work, 80 * MIB, seed=4)
    (upload,) = cut_off(work)
    s3.client().abort_multipart_upload(Bucket=bucket, Key=KEY, UploadId=upload)
    # The same bytes under a later mtime: the upload would have been resumed.
    later = time.time_ns() + 5_000_000_000
    os.utime(work.source / "big.h5ad", ns=(later, later))
    run = work.run()
    assert run.operations["ListParts"] == 1
    assert sorted(r.part for r in parts(run.requests)) == [1, 2, 3, 4, 5]
    assert run.operations["CreateMultipartUpload"] == 1
    check_object(work, s3, bucket, sha256)


@pytest.mark.engine
def test_lost_connections_cost_single_parts(work: Workflow, s3: S3Server, bucket: str) -> None:
    sha256 = write_big(work, 80 * MIB, seed=5)
    faults = [
        work.proxy.fault(Reset(MIB), op="UploadPart", part=3, times=1),
        work.proxy.fault(LoseResponse(), op="UploadPart", part=4, times=1),
        work.proxy.fault(LoseResponse(), op="CompleteMultipartUpload", times=1),
    ]
    run = work.run()
    assert [fault.hits for fault in faults] == [1, 1, 1]
    assert Counter(r.part for r in parts(run.requests)) == Counter({1: 1, 2: 1, 3: 2, 4: 2, 5: 1})
    assert run.operations["CreateMultipartUpload"] == 1
    assert run.operations["PutObject"] == len(run.manifest_puts) == 1
    check_object(work, s3, bucket, sha256)
