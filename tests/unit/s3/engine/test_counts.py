"""Bytes are counted while they are on the way, by each engine, and those that go again count once.
The link of these tests carries 5 MB in a second."""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from collections.abc import Callable

import botocore.exceptions as be
import pytest

from support.engines import begin, without_pauses
from support.proxy import CheckSha256, FlipByte, Reset, precondition_failed
from support.transfers import transfer_of
from waybill.s3.engine.choose import make_engine
from waybill.s3.parts import Part
from waybill.s3.request_checksums import base64_sha256
from waybill.system.meter import METER

RATE = 5_000_000
DATA = random.Random(3).randbytes(12_000_000)
HELD = 5_000_000  # bytes that the system holds at most, on both sides of a connection
SHA256 = hashlib.sha256(DATA).hexdigest()
BY_SHA256 = {"ChecksumSHA256": base64_sha256(SHA256)}


@pytest.fixture(params=["boto3", "native"])
def engine(request, proxy, bucket, tmp_path, monkeypatch):
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    without_pauses(monkeypatch)
    made = make_engine(
        transfer_of(tmp_path, bucket, engine=request.param, timeout=20), accelerate=False
    )
    yield made
    made.close()


@pytest.fixture
def key():
    """A key of this test's own, whose file is on its way."""
    name = f"k/{uuid.uuid4().hex}"
    METER.begin(name, "f", len(DATA))
    yield name
    METER.end(name, arrived=False)


def watched(work: Callable[[], object]) -> list[int]:
    """Do the work in a thread; what was counted after each quarter of a second."""
    before = METER.look().moved
    thread = threading.Thread(target=work)
    thread.start()
    seen = []
    while thread.is_alive():
        thread.join(0.25)
        seen.append(METER.look().moved - before)
    return seen


def steady(seen: list[int]) -> None:
    """The counts follow the link. A busy machine makes it slower."""
    assert seen[-1] == len(DATA)
    assert seen == sorted(seen)
    assert len({count for count in seen if 0 < count < len(DATA)}) >= 3, seen
    for number, count in enumerate(seen[:6], 1):
        assert count <= RATE * (number + 1) / 4 * 1.5 + HELD, seen


def test_a_part_counts_while_it_is_sent(engine, proxy, bucket, key):
    client = proxy.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    proxy.rate = RATE
    steady(watched(lambda: engine.put_part(key, upload, 1, DATA, BY_SHA256)))


def test_an_object_counts_while_it_is_sent(engine, proxy, key):
    proxy.rate = RATE
    steady(watched(lambda: begin(engine, key, DATA).result(60)))


def test_an_object_counts_while_it_comes(engine, proxy, bucket, key):
    etag = proxy.client().put_object(Bucket=bucket, Key=key, Body=DATA)["ETag"].strip('"')
    proxy.rate = RATE
    steady(watched(lambda: engine.get_object(key, etag, len(DATA)).result(60)))


def test_a_range_counts_while_it_comes(engine, proxy, bucket, key):
    etag = proxy.client().put_object(Bucket=bucket, Key=key, Body=DATA)["ETag"].strip('"')
    proxy.rate = RATE
    part = Part(1, 0, len(DATA))
    steady(watched(lambda: engine.get(key, etag, part, lambda *_: None)))


@pytest.mark.parametrize("trouble", [Reset(3_000_000), FlipByte("request", 3)])
def test_what_is_sent_again_counts_once(engine, proxy, bucket, key, trouble):
    client = proxy.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    before = METER.look()
    proxy.fault(trouble, op="UploadPart", times=1)
    proxy.fault(CheckSha256(), op="UploadPart")
    engine.put_part(key, upload, 1, DATA, BY_SHA256)
    after = METER.look()
    assert after.moved - before.moved == len(DATA)
    assert proxy.count(op="UploadPart") == 2
    assert after.repeats - before.repeats == 1


def test_what_comes_again_counts_once(engine, proxy, bucket, key):
    etag = proxy.client().put_object(Bucket=bucket, Key=key, Body=DATA)["ETag"].strip('"')
    before = METER.look().moved
    proxy.fault(Reset(3_000_000, "response"), op="GetObject", times=1)
    assert engine.get_object(key, etag, len(DATA)).result(60)[1] == DATA
    assert METER.look().moved - before == len(DATA)
    assert proxy.count(op="GetObject") == 2


def test_a_request_that_fails_counts_nothing(engine, proxy, key):
    before = METER.look().moved
    proxy.fault(precondition_failed(), op="PutObject")
    with pytest.raises(be.ClientError):
        begin(engine, key, DATA, condition={"IfNoneMatch": "*"}).result(60)
    assert METER.look().moved == before
