"""How bytes get to S3, by each engine: what a request carries, and what becomes of its failures."""

import gc
import hashlib
import random
import time
import tracemalloc
from concurrent.futures import Future

import botocore.exceptions as be
import pytest
from awscrt.checksums import crc64nvme

from support.engines import DATA, NAME, begin, put, without_pauses
from support.proxy import (
    Answer,
    CheckSha256,
    FlipByte,
    LoseResponse,
    Reset,
    Stall,
    expired_token,
    internal_error,
    no_such_upload,
    precondition_failed,
    slow_down,
    wrong_region,
)
from support.transfers import transfer_of
from waybill.model.errors import EntryError
from waybill.s3.engine import limit
from waybill.s3.engine.boto import BotoEngine
from waybill.s3.engine.choose import make_engine
from waybill.s3.engine.native import NativeEngine
from waybill.s3.engine.signer import signed_body
from waybill.s3.engine.target import Target
from waybill.s3.http.exchange import ClosedError
from waybill.s3.part_checksums import base64_crc64nvme
from waybill.s3.request_checksums import base64_sha256
from waybill.s3.retries import MAX_ATTEMPTS

SHA256 = hashlib.sha256(DATA).hexdigest()
BY_SHA256 = {"ChecksumSHA256": base64_sha256(SHA256)}
BY_CRC = {"ChecksumCRC64NVME": base64_crc64nvme(crc64nvme(DATA))}


@pytest.fixture(params=["boto3", "native"])
def make(request, proxy, bucket, s3, tmp_path, monkeypatch):
    """Makes an engine of each kind for a bucket behind the proxy."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    without_pauses(monkeypatch)
    made = []

    def make(**settings):
        transfer = transfer_of(tmp_path, bucket, engine=request.param, **{"timeout": 1, **settings})
        made.append(make_engine(transfer, accelerate=False))
        return made[-1]

    yield make
    for engine in made:
        engine.close()
    client = s3.client()
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        client.delete_object(Bucket=bucket, Key=item["Key"])


def done():
    future = Future()
    future.set_result("put by botocore")
    return future


def test_an_object_arrives_as_it_is(make, proxy, s3, bucket):
    stored = put(make())
    head = s3.client().head_object(Bucket=bucket, Key=NAME, ChecksumMode="ENABLED")
    assert head["ETag"] == f'"{stored.etag}"'
    assert head["Metadata"] == {"source-sha256": SHA256, "source-mtime": "1.000000005"}
    body = s3.client().get_object(Bucket=bucket, Key=NAME)["Body"].read()
    assert body == DATA
    (request,) = proxy.select(op="PutObject")
    assert request.sha256 == SHA256
    assert "x-amz-checksum-sha256" in request.headers
    assert put(make(), b"", key="empty").etag == hashlib.md5(b"").hexdigest()


def test_settings_of_the_transfer_go_along(make, proxy):
    engine = make(
        storage_class="STANDARD_IA",
        sse="AES256",
        tags={"a": "b c", "d": "e"},
        expected_bucket_owner="123456789012",
        requester_pays=True,
    )
    put(engine)
    headers = proxy.select(op="PutObject")[0].headers
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["x-amz-server-side-encryption"] == "AES256"
    assert headers["x-amz-tagging"] == "a=b+c&d=e"
    assert headers["x-amz-expected-bucket-owner"] == "123456789012"
    assert headers["x-amz-request-payer"] == "requester"


def test_conditions_hold(make):
    engine = make()
    first = put(engine, condition={"IfNoneMatch": "*"})
    with pytest.raises(be.ClientError, match="PreconditionFailed"):
        put(engine, b"other", condition={"IfNoneMatch": "*"})
    put(engine, b"other", condition={"IfMatch": f'"{first.etag}"'})
    with pytest.raises(be.ClientError, match="PreconditionFailed"):
        put(engine, b"third", condition={"IfMatch": f'"{first.etag}"'})


def test_parts_arrive(make, s3, bucket, proxy):
    engine = make()
    client = s3.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=NAME, ChecksumAlgorithm="SHA256")
    etag = engine.put_part(NAME, upload["UploadId"], 3, DATA, BY_SHA256)
    (part,) = client.list_parts(Bucket=bucket, Key=NAME, UploadId=upload["UploadId"])["Parts"]
    assert (part["PartNumber"], part["ETag"], part["Size"]) == (3, f'"{etag}"', len(DATA))
    proxy.fault(no_such_upload("no-such-upload"), op="UploadPart")
    with pytest.raises(be.ClientError, match="NoSuchUpload"):
        engine.put_part(NAME, "no-such-upload", 1, DATA, BY_SHA256)
    client.abort_multipart_upload(Bucket=bucket, Key=NAME, UploadId=upload["UploadId"])


def test_a_part_is_guarded_by_its_crc(make, s3, bucket, proxy):
    """Its signature leaves the body out, as those of AWS's own clients do."""
    engine = make()
    kind = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload = s3.client().create_multipart_upload(Bucket=bucket, Key=NAME, **kind)["UploadId"]
    proxy.fault(FlipByte("request", 5), op="UploadPart", times=1)
    proxy.fault(CheckSha256(), op="UploadPart")
    engine.put_part(NAME, upload, 1, DATA, BY_CRC)
    refused, taken = proxy.select(op="UploadPart")
    assert (refused.status, taken.status) == (400, 200)
    assert taken.headers["x-amz-checksum-crc64nvme"] == BY_CRC["ChecksumCRC64NVME"]
    if isinstance(engine, NativeEngine):
        assert taken.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    s3.client().abort_multipart_upload(Bucket=bucket, Key=NAME, UploadId=upload)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://s3.amazonaws.com", "UNSIGNED-PAYLOAD"),
        ("http://127.0.0.1:9000", "UNSIGNED-PAYLOAD"),
        ("http://[::1]:9000", "UNSIGNED-PAYLOAD"),
        ("http://localhost:9000", "UNSIGNED-PAYLOAD"),
        ("http://127.0.0.1.example.org", SHA256),
        ("http://store.example.org", SHA256),
    ],
)
def test_a_body_is_signed_where_somebody_may_be_on_the_way(url, signed):
    to = Target(url, "/", "", "", None, "")
    assert signed_body(to, DATA, BY_CRC) == signed
    assert signed_body(to, b"not looked at", BY_SHA256) == SHA256


def test_a_damaged_body_is_sent_again(make, proxy):
    engine = make()
    proxy.fault(FlipByte("request", 5), op="PutObject", times=2)
    proxy.fault(CheckSha256(), op="PutObject")
    put(engine)
    assert proxy.count(op="PutObject") == 3
    proxy.clear()
    proxy.faults.clear()
    proxy.fault(FlipByte("request", 6), op="PutObject")
    proxy.fault(CheckSha256(), op="PutObject")
    with pytest.raises(be.ClientError, match="BadDigest"):
        put(engine)
    assert proxy.count(op="PutObject") == 3


@pytest.mark.parametrize(
    "trouble",
    [
        slow_down(),
        internal_error(),
        Reset(),
        Reset(1000),
        LoseResponse(),
        Stall(30),
        Answer(400, "RequestTimeout", "Your socket connection was not read from in time."),
    ],
    ids=lambda trouble: getattr(trouble, "code", type(trouble).__name__),
)
def test_what_passes_is_tried_again(make, proxy, trouble):
    engine = make()
    proxy.fault(trouble, op="PutObject", times=1)
    assert put(engine).etag == hashlib.md5(DATA).hexdigest()
    assert proxy.count(op="PutObject") == 2
    assert {r.sha256 for r in proxy.select(op="PutObject")[1:]} == {SHA256}


@pytest.mark.parametrize(
    ("trouble", "expected", "attempts"),
    [
        (slow_down(), "SlowDown", MAX_ATTEMPTS),
        (internal_error(), "InternalError", MAX_ATTEMPTS),
        (expired_token(), "ExpiredToken", 1),
        (precondition_failed(), "PreconditionFailed", 1),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_what_stays_is_told(make, proxy, trouble, expected, attempts):
    engine = make()
    proxy.fault(trouble, op="PutObject")
    with pytest.raises(be.ClientError, match=expected) as caught:
        put(engine)
    assert caught.value.operation_name == "PutObject"
    assert proxy.count(op="PutObject") == attempts


def test_nobody_there(make, proxy, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(be.EndpointConnectionError, match=r"127\.0\.0\.1:9"):
        put(make())


def test_a_server_that_stays_silent(make, proxy):
    proxy.fault(Stall(60), op="PutObject")
    began = time.monotonic()
    with pytest.raises((be.ReadTimeoutError, be.ConnectionClosedError)):
        put(make())
    assert time.monotonic() - began < 30
    assert proxy.count(op="PutObject") == MAX_ATTEMPTS


def test_many_at_one_time(make, proxy, s3, bucket):
    engine = make(max_concurrency=16)
    bodies = {f"many/{i:03}": random.Random(i).randbytes(i * 111) for i in range(100)}
    futures = [begin(engine, key, body) for key, body in bodies.items()]
    etags = [future.result(60).etag for future in futures]
    assert etags == [hashlib.md5(body).hexdigest() for body in bodies.values()]
    heads = s3.client().list_objects_v2(Bucket=bucket, Prefix="many/")["Contents"]
    etags_there = {h["Key"]: h["ETag"].strip('"') for h in heads}
    got = [engine.get_object(key, etags_there[key], len(body)) for key, body in bodies.items()]
    for body, future in zip(bodies.values(), got, strict=True):
        answer, data = future.result(60)
        assert (answer["ContentLength"], data) == (len(body), body)


def test_many_that_cannot_be_read(make):
    """Each fails alone, and one that fails makes room for the next."""
    engine = make()

    def load():
        raise EntryError("gone", "it is gone")

    puts = [engine.put_object(f"k{i}", 1, load, {}) for i in range(3_000)]
    assert all(isinstance(answer.exception(60), EntryError) for answer in puts)
    put(engine)


@pytest.mark.parametrize("make", ["native"], indirect=True)
@pytest.mark.parametrize("trouble", [Stall(30), slow_down()])
def test_what_waits_ends_with_its_engine(make, proxy, trouble, monkeypatch):
    """Be it for its turn, or for the end of the pause that S3 has asked for."""
    monkeypatch.setattr(limit.Gate, "back_off", lambda *_: 600)
    proxy.fault(trouble, op="PutObject")
    engine = make(max_concurrency=1, timeout=60)
    puts = [begin(engine, f"k{i}", DATA) for i in range(20)]
    while not proxy.count(op="PutObject"):
        time.sleep(0.01)
    time.sleep(0.3)
    assert engine.ahead == 19
    engine.close()
    assert all(isinstance(answer.exception(5), ClosedError) for answer in puts)
    with pytest.raises(ClosedError):
        put(engine)
    assert proxy.count(op="PutObject") == 1


@pytest.mark.parametrize("make", ["native"], indirect=True)
def test_a_pause_ends_for_all_though_one_does_not(make, proxy, monkeypatch):
    """The request that was told to slow down is tried again, and meets silence."""
    monkeypatch.setattr(limit.Gate, "back_off", lambda *_: 0.5)
    proxy.fault(slow_down(), op="PutObject", key="k0", times=1)
    proxy.fault(Stall(20), op="PutObject", key="k0")
    engine = make(max_concurrency=4, timeout=30)
    slow, *others = [begin(engine, f"k{i}", DATA) for i in range(20)]
    assert all(answer.result(10) for answer in others)
    assert not slow.done()


@pytest.mark.parametrize("make", ["native"], indirect=True)
def test_what_waits_meets_the_error_that_all_would_meet(make, proxy):
    proxy.fault(expired_token(), op="PutObject")
    engine = make(max_concurrency=1)
    puts = [begin(engine, f"k{i}", DATA) for i in range(20)]
    codes = {answer.exception(30).response["Error"]["Code"] for answer in puts}
    assert codes == {"ExpiredToken"}
    assert proxy.count(op="PutObject") < 20


def test_engines_are_the_ones_asked_for(make, request):
    engine = make()
    asked = request.node.callspec.params["make"]
    assert isinstance(engine, BotoEngine) == (asked == "boto3")


def test_a_bucket_in_another_region_is_left_to_botocore(make, proxy, monkeypatch):
    """Which follows it there; the native engine would have to find out for itself."""
    engine = make()
    asked = []
    monkeypatch.setattr(BotoEngine, "put_object", lambda self, key, *_: asked.append(key) or done())
    if isinstance(engine, BotoEngine):
        return
    proxy.fault(wrong_region("eu-north-1"), op="PutObject")
    assert put(engine) == "put by botocore"
    assert asked == [NAME]


def test_bodies_are_let_go_at_once(make):
    """Not when the next collection of circles comes: a part is 16 MiB."""
    engine = make()
    put(engine)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for number in range(10):
            data = random.Random(number).randbytes(1 << 20)
            put(engine, data)
            stored = begin(engine, "k", data)
            engine.get_object("k", stored.result(60).etag, len(data)).result(60)
        del data
        assert tracemalloc.get_traced_memory()[0] < 3 << 20
    finally:
        tracemalloc.stop()
        gc.enable()
