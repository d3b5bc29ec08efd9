"""The faults of the proxy: what each one looks like to boto3."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from support import proxy as kit
from support.objects import base64_sha256, error_of, keys, stored
from support.proxy import (
    Action,
    Call,
    CheckSha256,
    Delay,
    Fault,
    FlipByte,
    LoseResponse,
    Proxy,
    Reset,
    Stall,
    Truncate,
)
from support.server import S3Server

BODY = bytes(range(256)) * 1024  # 256 KiB


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (kit.expired_token(), 400, "ExpiredToken"),
        (kit.access_denied(), 403, "AccessDenied"),
        (kit.invalid_access_key(), 403, "InvalidAccessKeyId"),
        (kit.signature_mismatch(), 403, "SignatureDoesNotMatch"),
        (kit.no_such_bucket("b<&>"), 404, "NoSuchBucket"),
        (kit.no_such_key("key"), 404, "NoSuchKey"),
        (kit.no_such_upload("id"), 404, "NoSuchUpload"),
        (kit.wrong_region("eu-west-1"), 301, "PermanentRedirect"),
        (kit.wrong_region("eu-west-1", 400), 400, "AuthorizationHeaderMalformed"),
        (kit.slow_down(), 503, "SlowDown"),
        (kit.internal_error(), 500, "InternalError"),
        (kit.precondition_failed(), 412, "PreconditionFailed"),
        (kit.not_implemented(), 501, "NotImplemented"),
    ],
)
def test_s3_errors(bucket: str, proxy: Proxy, answer: kit.Answer, status: int, code: str) -> None:
    client = proxy.client()
    proxy.fault(answer, op="PutObject")
    proxy.fault(answer, op="HeadObject")
    where = {"Bucket": bucket, "Key": "key"}
    assert error_of(client.put_object, **where, Body=BODY) == (code, status)
    assert error_of(client.head_object, **where)[1] == status
    put = proxy.select(op="PutObject")[0]
    assert (put.status, put.upstream_status, put.body_length) == (status, None, len(BODY))
    client.list_objects_v2(Bucket=bucket)  # everything else goes through


def test_wrong_region_says_which_is_right(bucket: str, proxy: Proxy) -> None:
    proxy.fault(kit.wrong_region("eu-west-1", bucket=bucket))
    with pytest.raises(ClientError) as caught:
        proxy.client().list_objects_v2(Bucket=bucket)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"
    assert answer["Error"]["Endpoint"] == f"{bucket}.s3.eu-west-1.amazonaws.com"


def test_a_200_that_is_an_error(bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    where = {"Bucket": bucket, "Key": "key"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    proxy.fault(kit.internal_error(200), op="CompleteMultipartUpload")
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    code, _ = error_of(
        client.complete_multipart_upload, **where, UploadId=upload, MultipartUpload=parts
    )
    assert code == "InternalError"


def test_matching_times_and_after(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    fault = proxy.fault(kit.slow_down(), op="PutObject", key="x/*", times=1, after=1)
    seen = []
    for key in ("y/0", "x/1", "x/2", "x/3"):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"")
            seen.append(key)
        except ClientError:
            seen.append("error")
    assert seen == ["y/0", "x/1", "error", "x/3"]
    assert (fault.hits, fault.seen) == (1, 3)
    assert keys(s3, bucket) == ["x/1", "x/3", "y/0"]


def test_one_part_of_an_upload_can_be_hit(bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    where = {"Bucket": bucket, "Key": "key"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    proxy.fault(kit.internal_error(), part=2)
    client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"1")
    code, _ = error_of(client.upload_part, **where, UploadId=upload, PartNumber=2, Body=b"2")
    assert code == "InternalError"


def test_retries_get_through(bucket: str, proxy: Proxy) -> None:
    client = proxy.client(retries={"total_max_attempts": 3, "mode": "standard"})
    proxy.fault(Reset(1000), op="PutObject", times=1)
    client.put_object(Bucket=bucket, Key="key", Body=BODY)
    assert [request.status for request in proxy.requests] == [None, 200]


@pytest.mark.parametrize("offset", [0, 70_000, -1])
def test_a_flip_on_the_way(s3: S3Server, bucket: str, proxy: Proxy, offset: int) -> None:
    expected = bytearray(BODY)
    expected[offset] ^= 1
    client = proxy.client(response_checksum_validation="when_required")
    proxy.fault(FlipByte("request", offset), op="PutObject")
    client.put_object(Bucket=bucket, Key="key", Body=BODY)
    assert stored(s3, bucket) == expected
    assert proxy.requests[0].sha256 == hashlib.sha256(BODY).hexdigest()
    proxy.fault(FlipByte("response", offset), op="GetObject", times=1)
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == BODY  # flipped back
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == expected


@pytest.mark.parametrize("damage", [FlipByte("request", 5), Truncate("request", 99)])
def test_check_sha256_notices_damage(
    s3: S3Server, bucket: str, proxy: Proxy, damage: Action
) -> None:
    client = proxy.client()
    proxy.faults = [Fault(damage, times=1), Fault(CheckSha256())]
    put = {"Bucket": bucket, "Key": "key", "Body": BODY, "ChecksumAlgorithm": "SHA256"}
    assert error_of(client.put_object, **put) == ("BadDigest", 400)
    assert keys(s3, bucket) == []
    client.put_object(**put)
    assert stored(s3, bucket) == BODY


def test_check_sha256_looks_at_every_declared_digest(bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    check = proxy.fault(CheckSha256(code="XAmzContentChecksumMismatch"))
    put = {"Bucket": bucket, "Key": "key", "Body": BODY}
    wrong = base64_sha256(b"something else")
    assert error_of(client.put_object, **put, ChecksumSHA256=wrong) == (
        "XAmzContentChecksumMismatch",
        400,
    )
    wrong = b64encode(hashlib.md5(b"something else").digest()).decode()
    assert error_of(client.put_object, **put, ContentMD5=wrong) == ("BadDigest", 400)
    check.action = CheckSha256(payload=True)
    client.put_object(**put)
    proxy.faults.insert(0, Fault(FlipByte("request", 0)))
    assert error_of(client.put_object, **put) == ("XAmzContentSHA256Mismatch", 400)


def test_check_sha256_leaves_composite_checksums_alone(bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    proxy.fault(CheckSha256(payload=True))
    where = {"Bucket": bucket, "Key": "key"}
    upload = client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    part = client.upload_part(
        **where, UploadId=upload, PartNumber=1, Body=b"1", ChecksumSHA256=base64_sha256(b"1")
    )
    done = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": base64_sha256(b"1")}
    composite = base64_sha256(hashlib.sha256(b"1").digest()) + "-1"
    client.complete_multipart_upload(
        **where,
        UploadId=upload,
        MultipartUpload={"Parts": [done]},
        ChecksumSHA256=composite,
    )
    assert proxy.requests[-1].status == 200


@pytest.mark.parametrize("action", [Truncate("response", 1000), Reset(1000, "response")])
def test_a_response_cut_short(s3: S3Server, bucket: str, proxy: Proxy, action: Action) -> None:
    s3.client().put_object(Bucket=bucket, Key="key", Body=BODY)
    proxy.fault(action, op="GetObject", times=1)
    answer = proxy.client().get_object(Bucket=bucket, Key="key")
    assert answer["ContentLength"] == len(BODY)
    with pytest.raises((BotoCoreError, OSError)):
        answer["Body"].read()
    assert proxy.requests[0].answered == 1000
    assert proxy.client().get_object(Bucket=bucket, Key="key")["Body"].read() == BODY


@pytest.mark.parametrize("after_bytes", [0, 100_000])
def test_reset_of_a_request(s3: S3Server, bucket: str, proxy: Proxy, after_bytes: int) -> None:
    proxy.fault(Reset(after_bytes), op="PutObject")
    with pytest.raises(BotoCoreError):
        proxy.client().put_object(Bucket=bucket, Key="key", Body=BODY)
    request = proxy.requests[0]
    assert (request.status, request.upstream_status) == (None, None)
    assert request.body_length == after_bytes
    assert keys(s3, bucket) == []


def test_stall_ends_in_the_clients_timeout(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    s3.client().put_object(Bucket=bucket, Key="key", Body=BODY)
    client = proxy.client(read_timeout=0.5)
    proxy.fault(Stall(60), op="PutObject")
    with pytest.raises(ReadTimeoutError):
        client.put_object(Bucket=bucket, Key="other", Body=BODY)
    assert keys(s3, bucket) == ["key"]
    proxy.fault(Stall(60, "response", 1000), op="GetObject")
    with pytest.raises(ReadTimeoutError):
        client.get_object(Bucket=bucket, Key="key")["Body"].read()
    begun = time.monotonic()
    proxy.close()  # does not wait for the stalled exchanges
    assert time.monotonic() - begun < 5


def test_delay_and_call_come_before_forwarding(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    seen: list[tuple[kit.Request, list[str]]] = []
    proxy.fault(Delay(0.3), op="PutObject")
    proxy.fault(Call(lambda request: seen.append((request, keys(s3, bucket)))), op="PutObject")
    begun = time.monotonic()
    proxy.client().put_object(Bucket=bucket, Key="key", Body=BODY)
    assert time.monotonic() - begun >= 0.3
    assert seen == [(proxy.requests[0], [])]
    assert seen[0][0].body_length == len(BODY)
    assert stored(s3, bucket) == BODY


def test_a_lost_response(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    proxy.fault(LoseResponse(), op="PutObject")
    with pytest.raises(ConnectionClosedError):
        proxy.client().put_object(Bucket=bucket, Key="key", Body=BODY)
    assert stored(s3, bucket) == BODY
    assert (proxy.requests[0].status, proxy.requests[0].upstream_status) == (None, 200)


def test_failing_calls_and_vain_faults_are_reported(bucket: str, s3: S3Server) -> None:
    with Proxy(s3.endpoint_url) as proxy:
        proxy.fault(Call(lambda _request: 1 / 0), key="a")
        proxy.fault(FlipByte("request", 100), key="b")
        with pytest.raises(BotoCoreError):
            proxy.client().put_object(Bucket=bucket, Key="a", Body=b"")
        proxy.client().put_object(Bucket=bucket, Key="b", Body=b"")
        assert [type(error) for error in proxy.errors] == [ZeroDivisionError, AssertionError]
