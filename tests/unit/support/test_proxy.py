"""The proxy itself: what it forwards and records; and the server behind it."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

from support.objects import base64_sha256, error_of, stored
from support.proxy import (
    CheckSha256,
    Fault,
    FlipByte,
    Proxy,
)
from support.server import ACCESS_KEY, SECRET_KEY, S3Server

MIB = 1 << 20
BODY = bytes(range(256)) * 1024  # 256 KiB


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
    assert put.headers["x-amz-checksum-sha256"] == base64_sha256(BODY)
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
        parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": base64_sha256(data)})
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
    proxy.operations.clear()  # Waybill asks for some of them only


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
        base64_sha256(data).encode(),
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
