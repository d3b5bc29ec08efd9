"""Uploads in parts: by which checksum each part is checked, and what is sent again."""

import base64
import hashlib
import json
import random

import pytest
from awscrt.checksums import crc64nvme

from support.engines import without_pauses
from support.proxy import Answer, CheckSha256, DropHeader, Fault, FlipByte
from support.uploads import Uploads
from waybill.model.entries import Checksums
from waybill.move import checksum, mover, upload
from waybill.s3 import parts
from waybill.s3.part_checksums import SentPart, combined

MIB = 1 << 20
DATA = random.Random(5).randbytes(12 * MIB + 1)  # three parts
UNKNOWN = Answer(400, "InvalidArgument", "Checksum algorithm provided is unsupported.")


def crc(data):
    return base64.b64encode(crc64nvme(data).to_bytes(8, "big")).decode()


@pytest.fixture(params=["boto3", "native"])
def job(request, proxy, bucket, s3, tmp_path, monkeypatch):
    """Upload jobs with parts of 5 MiB, behind the proxy."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    without_pauses(monkeypatch)
    monkeypatch.setattr(mover, "MULTIPART_ABOVE_BYTES", 6 * MIB)
    monkeypatch.setattr(parts, "SMALLEST_PART_BYTES", 5 * MIB)
    yield Uploads(tmp_path, bucket, engine=request.param)
    client = s3.client()
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        client.delete_object(Bucket=bucket, Key=item["Key"])
    for left in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=bucket, Key=left["Key"], UploadId=left["UploadId"])


def kinds(proxy, op="UploadPart"):
    """By which checksum each request of an operation was guarded."""
    names = ("x-amz-checksum-crc64nvme", "x-amz-checksum-sha256", "content-md5")
    return [
        next((name for name in names if name in request.headers), "none")
        for request in proxy.select(op=op)
    ]


def arrived(job, s3, bucket, path="large", data=DATA):
    body = s3.client().get_object(Bucket=bucket, Key=f"data/{path}")["Body"].read()
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert job.record.uploads == {}
    return body == data


def test_each_byte_is_hashed_once(job, proxy, s3, bucket, monkeypatch):
    """By SHA-256, when the file is read first; S3 checks each part and the whole by CRC-64."""
    item = job.item("large", DATA)
    noted = checksum.checksums_of(job.folder, item.entry)
    assert noted == (hashlib.sha256(DATA).hexdigest(), f"{crc64nvme(DATA):016x}")
    item = item._replace(sha256=noted.sha256)
    monkeypatch.setattr(upload, "checksums_of", None)  # the upload does not hash
    proxy.fault(FlipByte("request", 7), op="UploadPart", times=1)
    proxy.fault(CheckSha256())
    assert job.run(item, noted=lambda entry: noted).failed == []
    assert arrived(job, s3, bucket)
    (begun,) = proxy.select(op="CreateMultipartUpload")
    assert begun.headers["x-amz-checksum-algorithm"] == "CRC64NVME"
    assert begun.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    sent = {request.part: request for request in proxy.select(op="UploadPart")}
    for number, start in enumerate(range(0, len(DATA), 5 * MIB), 1):
        told = sent[number].headers["x-amz-checksum-crc64nvme"]
        assert told == crc(DATA[start : start + 5 * MIB])
    assert proxy.count(op="UploadPart") == 4  # one came damaged
    (ended,) = proxy.select(op="CompleteMultipartUpload")
    assert ended.headers["x-amz-checksum-crc64nvme"] == crc(DATA)
    assert ended.headers["x-amz-mp-object-size"] == str(len(DATA))
    head = s3.client().head_object(Bucket=bucket, Key="data/large", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (crc(DATA), "FULL_OBJECT")


def test_parts_begin_in_their_order(job, proxy, s3, bucket, monkeypatch):
    """`rclone serve s3` asks to slow down for a part that comes long before its turn."""
    monkeypatch.setattr(mover, "IN_MEMORY_BYTES", 5 * MIB)
    data = random.Random(6).randbytes(40 * MIB)
    assert job.run(job.item("large", data)).failed == []
    assert [request.part for request in proxy.select(op="UploadPart")] == list(range(1, 9))
    assert arrived(job, s3, bucket, data=data)


@pytest.mark.parametrize("size", [100_000, len(DATA)], ids=["whole", "in parts"])
def test_other_bytes_than_were_hashed_are_refused(job, s3, bucket, size):
    """Of the same size and time; the CRC from the first read shows it."""
    item = job.item("file", DATA[:size])
    noted = checksum.checksums_of(job.folder, item.entry)
    item = job.item("file", DATA[: size - 1] + b"!")
    item = item._replace(sha256=noted.sha256)
    outcome = job.run(item, noted=lambda entry: noted)
    assert outcome.stale_hash
    assert [failure.path for failure in outcome.failed] == ["file"]
    assert "Contents" not in s3.client().list_objects_v2(Bucket=bucket)
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_a_crc_counts_only_with_its_sha256(job, s3, bucket):
    item = job.item("large", DATA)._replace(sha256=hashlib.sha256(DATA).hexdigest())
    other = Checksums("0" * 64, f"{crc64nvme(b'other'):016x}")
    assert job.run(item, noted=lambda entry: other).failed == []
    assert arrived(job, s3, bucket)


class NoCrc(Fault):
    """A store that does not know the CRC."""

    def take(self, request):
        algorithm = request.headers.get("x-amz-checksum-algorithm", "")
        return algorithm == "CRC64NVME" and super().take(request)


def test_a_store_that_refuses_the_crc_gets_sha256(job, proxy, s3, bucket):
    proxy.faults.append(NoCrc(UNKNOWN, op="CreateMultipartUpload"))
    one, two = job.item("one", DATA), job.item("two", DATA)
    assert job.run(one).failed == []
    assert kinds(proxy) == ["x-amz-checksum-sha256"] * 3
    assert arrived(job, s3, bucket, "one")
    proxy.clear()
    assert job.run(two, job.item("three", DATA)).failed == []
    assert kinds(proxy) == ["x-amz-checksum-sha256"] * 6
    assert arrived(job, s3, bucket, "two")


def test_so_does_one_that_refuses_it_with_a_part(job, proxy, s3, bucket):
    refusal = proxy.fault(UNKNOWN, op="UploadPart", times=1)
    assert job.run(job.item("large", DATA)).failed == []
    assert refusal.hits == 1
    assert kinds(proxy)[-3:] == ["x-amz-checksum-sha256"] * 3
    assert arrived(job, s3, bucket)
    ended = proxy.select(op="CompleteMultipartUpload")
    assert ["x-amz-checksum-crc64nvme" in request.headers for request in ended] == [False]


def test_a_store_that_passes_over_both_is_asked_twice(job, proxy, s3, bucket):
    for name in ("x-amz-checksum-algorithm", "x-amz-checksum-type"):
        proxy.fault(DropHeader(name), op="CreateMultipartUpload")
    assert job.run(job.item("one", DATA), job.item("two", DATA)).failed == []
    assert proxy.count(op="CreateMultipartUpload") <= 4
    assert kinds(proxy) == ["x-amz-checksum-sha256"] * 6  # that of the signature, too
    for ended in proxy.select(op="CompleteMultipartUpload"):
        assert not [name for name in ended.headers if name.startswith("x-amz-checksum")]
    assert arrived(job, s3, bucket, "one")
    assert arrived(job, s3, bucket, "two")


def test_what_was_begun_is_resumed_with_its_own_checksum(job, proxy, s3, bucket):
    item = job.item("large", DATA)
    job.leave_open(proxy, item)
    proxy.clear()
    (begun,) = job.record.open_uploads("large")
    assert begun.checksum == "CRC64NVME"
    assert begun.parts[3][1] == f"{crc64nvme(DATA[10 * MIB :]):016x}"
    proxy.fault(UNKNOWN, op="CreateMultipartUpload")  # nothing is begun
    assert job.run(item).failed == []
    assert proxy.count(op="UploadPart") == 0
    assert arrived(job, s3, bucket)


def test_an_upload_of_an_earlier_version_is_resumed_by_sha256(job, proxy, s3, bucket):
    """Its journal has no kind of checksum, and the SHA-256 of each part (revision 81c658d)."""
    item = job.item("large", DATA)
    client = s3.client()
    at = {"Bucket": bucket, "Key": "data/large"}
    upload_id = client.create_multipart_upload(ChecksumAlgorithm="SHA256", **at)["UploadId"]
    sha256 = hashlib.sha256(DATA[: 5 * MIB])
    told = base64.b64encode(sha256.digest()).decode()
    part = {"UploadId": upload_id, "PartNumber": 1, "ChecksumSHA256": told}
    etag = client.upload_part(Body=DATA[: 5 * MIB], **part, **at)["ETag"].strip('"')
    whole = hashlib.sha256(DATA).hexdigest()
    lines = [
        {"upload": "large", "id": upload_id, "size": len(DATA), "sha256": whole,
         "part_size": 5 * MIB, "key": "data/large"},
        {"part": 1, "id": upload_id, "etag": etag, "sha256": sha256.hexdigest()},
    ]  # fmt: skip
    job.journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert job.run(item._replace(sha256=whole)).failed == []
    assert sorted(request.part for request in proxy.select(op="UploadPart")) == [2, 3]
    assert kinds(proxy) == ["x-amz-checksum-sha256"] * 2
    assert proxy.count(op="CreateMultipartUpload") == 0
    (ended,) = proxy.select(op="CompleteMultipartUpload")
    assert "x-amz-checksum-crc64nvme" not in ended.headers
    assert arrived(job, s3, bucket)


def test_kinds_are_never_mixed(job, proxy, s3, bucket, tmp_path):
    """Where the configuration forbids the kind, the upload begins anew."""
    item = job.item("large", DATA)
    job.leave_open(proxy, item)
    proxy.clear()
    (tmp_path / "plain").mkdir()
    engine = job.transfer.engine
    plain = Uploads(
        tmp_path / "plain", bucket, engine=engine, request_checksum_calculation="when_required"
    )
    plain.journal.write_bytes(job.journal.read_bytes())
    assert plain.run(plain.item("large", DATA)).failed == []
    assert kinds(proxy) == ["content-md5"] * 3
    assert proxy.count(op="AbortMultipartUpload") == 1
    assert arrived(plain, s3, bucket)


def test_parts_combine_to_the_whole():
    sent = {}
    for number, start in enumerate(range(0, len(DATA), 5 * MIB), 1):
        part = DATA[start : start + 5 * MIB]
        sent[number] = SentPart("", crc64nvme(part), len(part), "")
    assert combined(sent) == crc64nvme(DATA)
    assert combined(dict(reversed(sent.items()))) == crc64nvme(DATA)
    assert combined({1: sent[2], 2: sent[1], 3: sent[3]}) != crc64nvme(DATA)
