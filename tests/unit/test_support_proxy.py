"""The test kit itself: what the proxy records, and what each fault looks like to boto3."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)
from support import proxy as kit
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
from support.server import ACCESS_KEY, SECRET_KEY, S3Server

MIB = 1 << 20
BODY = bytes(range(256)) * 1024  # 256 KiB


def sha256_of(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


def error_of(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def stored(s3: S3Server, bucket: str, key: str = "key") -> bytes:
    """What the server has; it believes the checksums it was told, so they are not looked at."""
    client = s3.client(response_checksum_validation="when_required")
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(s3: S3Server, bucket: str) -> list[str]:
    listing = s3.client().list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in listing.get("Contents", [])]


# --- recording -------------------------------------------------------------------------------


def test_put_and_get_are_forwarded_and_recorded(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    key = "a b/ü+c%/100"
    client.put_object(Bucket=bucket, Key=key, Body=BODY, ChecksumAlgorithm="SHA256")
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == BODY
    client.get_object(Bucket=bucket, Key=key, Range="bytes=0-9")["Body"].read()
    assert stored(s3, bucket, key) == BODY

    put, get, part = proxy.requests
    assert (put.op, put.bucket, put.key, put.status) == ("PutObject", bucket, key, 200)
    assert put.path == f"/{bucket}/a%20b/%C3%BC%2Bc%25/100"
    assert (put.body_length, put.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert put.headers["x-amz-checksum-sha256"] == sha256_of(BODY)
    assert put.headers["expect"] == "100-continue"
    assert (get.op, get.status, get.answered) == ("GetObject", 200, len(BODY))
    assert (part.status, part.answered) == (206, 10)
    assert proxy.count() == 3
    assert proxy.count(op="GetObject", key="a b/*") == 2
    assert proxy.count(method="PUT", key="other*") == 0
    proxy.clear()
    assert proxy.requests == []


def test_every_operation_gets_its_name(bucket: str, proxy: Proxy) -> None:
    client = proxy.client()
    where = {"Bucket": bucket, "Key": "key"}
    upload = client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, data in enumerate([b"a" * 5 * MIB, b"b"], start=1):
        etag = client.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=data, ChecksumAlgorithm="SHA256"
        )["ETag"]
        parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": sha256_of(data)})
    client.list_parts(**where, UploadId=upload)
    client.list_multipart_uploads(Bucket=bucket)
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    dropped = client.create_multipart_upload(**where)["UploadId"]
    client.abort_multipart_upload(**where, UploadId=dropped)
    assert client.head_object(**where)["ContentLength"] == 5 * MIB + 1
    listing = client.list_objects_v2(Bucket=bucket, Prefix="k")
    assert [entry["Key"] for entry in listing["Contents"]] == ["key"]
    client.head_bucket(Bucket=bucket)
    client.get_bucket_location(Bucket=bucket)
    client.get_bucket_accelerate_configuration(Bucket=bucket)
    client.get_object_tagging(**where)
    client.copy_object(**where, CopySource=f"{bucket}/key", MetadataDirective="REPLACE")
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})
    client.list_buckets()

    expected = """
        CreateMultipartUpload UploadPart UploadPart ListParts ListMultipartUploads
        CompleteMultipartUpload CreateMultipartUpload AbortMultipartUpload HeadObject ListObjectsV2
        HeadBucket GetBucketLocation GetBucketAccelerateConfiguration other CopyObject
        DeleteObjects ListBuckets
    """
    assert [request.op for request in proxy.requests] == expected.split()
    assert [request.part for request in proxy.select(op="UploadPart")] == [1, 2]
    assert proxy.select(op="ListObjectsV2")[0].query["prefix"] == "k"


def test_connections_are_kept_alive(bucket: str, proxy: Proxy) -> None:
    body = BODY[:100]
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        own_port = set()
        for number in range(5):
            connection.request("PUT", f"/{bucket}/{number}", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            own_port.add(connection.sock.getsockname()[1])
    assert len(own_port) == 1


def test_chunked_aws_chunked_body_arrives_byte_for_byte(
    s3: S3Server, bucket: str, proxy: Proxy
) -> None:
    data = BODY[:70_000]
    framed = b"%x\r\n%b\r\n0\r\nx-amz-checksum-sha256:%b\r\n\r\n" % (
        len(data),
        data,
        sha256_of(data).encode(),
    )
    headers = {
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": "x-amz-checksum-sha256",
    }
    proxy.fault(CheckSha256())
    for key, coding in (("one", {"Content-Length": str(len(framed))}), ("two", {})):
        pieces = iter([framed[:10], framed[10:30_000], framed[30_000:]])
        with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as sender:
            sender.request("PUT", f"/{bucket}/{key}", pieces, {**headers, **coding})
            assert sender.getresponse().status == 200
        assert proxy.requests[-1].sha256 == hashlib.sha256(framed).hexdigest()
        assert stored(s3, bucket, key) == data
    assert "content-length" not in proxy.requests[-1].headers
    proxy.faults.insert(0, Fault(FlipByte("request", 1000)))
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as sender:
        sender.request("PUT", f"/{bucket}/three", iter([framed]), headers)
        assert sender.getresponse().status == 400


def test_many_clients_at_once(bucket: str, proxy: Proxy) -> None:
    client = proxy.client(max_pool_connections=16)
    proxy.latency = 0.1

    def put(number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"{number:02}", Body=b"%d" % number * 1000)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(16)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 16 * 0.1
    assert proxy.count(op="PutObject") == 16
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 16


def test_bodies_beyond_the_memory_limit(bucket: str, proxy: Proxy) -> None:
    data = BODY * 4 * 70  # 70 MiB
    client = proxy.client()
    client.put_object(Bucket=bucket, Key="key", Body=data)
    assert proxy.requests[-1].sha256 == hashlib.sha256(data).hexdigest()
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == data


def test_a_dead_server_is_a_502() -> None:
    with S3Server() as server:
        url = server.endpoint_url
    with Proxy(url) as proxy:
        assert error_of(proxy.client().list_buckets)[1] == 502
        assert proxy.requests[0].upstream_status is None


# --- faults ----------------------------------------------------------------------------------


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
    wrong = sha256_of(b"something else")
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
        **where, UploadId=upload, PartNumber=1, Body=b"1", ChecksumSHA256=sha256_of(b"1")
    )
    done = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": sha256_of(b"1")}
    composite = sha256_of(hashlib.sha256(b"1").digest()) + "-1"
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


# --- the server ------------------------------------------------------------------------------


def test_env_leads_a_subprocess_to_the_server(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    script = f"import boto3; boto3.client('s3').put_object(Bucket={bucket!r}, Key='k', Body=b'x')"
    environment = {**os.environ, **proxy.env()}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert proxy.count(op="PutObject", key="k") == 1
    assert ACCESS_KEY in proxy.requests[0].headers["authorization"]
    assert SECRET_KEY not in str(proxy.requests)


def test_the_server_dies_with_its_parent() -> None:
    script = (
        "import os, signal; from support.server import S3Server; server = S3Server().start(); "
        "print(server.port, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.run(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, timeout=90
    )
    assert parent.returncode == -9
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(parent.stdout)), timeout=5).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
