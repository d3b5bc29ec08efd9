"""The closer look, at a server and on a way that misbehave; the stages run in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.proxy import (
    Call,
    FlipByte,
    Proxy,
    Reset,
    Truncate,
    access_denied,
    expired_token,
    internal_error,
    slow_down,
)
from support.server import S3Server
from support.verifying import Verifying
from waybill.model.errors import WaybillError
from waybill.results import marker
from waybill.results.marker import Proof

FILES = {name: name.encode() * 100 for name in "abcdef"}


class Looking(Verifying):
    """Files on both sides, proven by a marker."""

    def prove(self, change: Callable[[Proof], Proof] = lambda proof: proof) -> None:
        path = self.results / "markers/t/b0000000000000000.tsv"
        marker.write(path, [change(self._put(name)) for name in FILES])
        self.proxy.clear()

    def _put(self, name: str) -> Proof:
        file, data = self.data / name, FILES[name]
        if not file.exists():
            file.write_bytes(data)
        answer = self.proxy.client().put_object(
            Bucket=self.bucket, Key=f"x/{name}", Body=data, ChecksumAlgorithm="SHA256"
        )
        etag, mtime_ns = answer["ETag"].strip('"'), file.stat().st_mtime_ns
        return Proof(name, f"x/{name}", len(data), mtime_ns, sha256_of(data), etag, "", "now")


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def verification(
    tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Looking:
    verification = Looking(tmp_path, proxy, bucket, monkeypatch)
    verification.prove()
    return verification


AGREE = dict.fromkeys(FILES, "= both")


def test_bytes_on_a_bad_way(verification: Looking, proxy: Proxy) -> None:
    """What a retry mends is no difference; what it does not is named, and never agrees."""
    mended = [
        proxy.fault(FlipByte("response", 9), op="GetObject", key="x/a", times=1),
        proxy.fault(Reset(50, "response"), op="GetObject", key="x/b", times=2),
        proxy.fault(Truncate("response", 7), op="GetObject", key="x/c", times=1),
        proxy.fault(slow_down(), op="GetObject", key="x/d", times=2),
    ]
    assert verification.verify("content") == AGREE
    assert [fault.hits for fault in mended] == [1, 2, 1, 2]
    assert proxy.count("GET", key="x/a") == 2

    proxy.faults.clear()
    proxy.fault(FlipByte("response", 9), op="GetObject", key="x/a")
    proxy.fault(access_denied(), op="GetObject", key="x/b")
    proxy.fault(internal_error(), op="GetObject", key="x/c")
    found = verification.verify("content", timeout=1)
    assert found["a"] == "* destination its bytes have another SHA-256"
    url = f"s3://{verification.bucket}/x"
    assert found["b"].startswith(f"! destination {url}/b: access denied to GetObject")
    assert found["c"].startswith(f"! destination {url}/c: S3 kept answering InternalError")
    assert {path for path, said in found.items() if said == "= both"} == set("def")


def test_what_changes_while_it_is_looked_at(
    verification: Looking, proxy: Proxy, s3: S3Server
) -> None:
    client, bucket = s3.client(), verification.bucket

    def replace(_request: object) -> None:
        client.put_object(Bucket=bucket, Key="x/a", Body=FILES["a"][::-1] + b"1")

    def remove(_request: object) -> None:
        client.delete_object(Bucket=bucket, Key="x/b")

    def write(_request: object) -> None:
        (verification.data / "c").write_bytes(FILES["c"][:-1] + b"2")
        (verification.data / "d").unlink()

    proxy.fault(Call(replace), op="GetObject", key="x/a")
    proxy.fault(Call(remove), op="GetObject", key="x/b")
    proxy.fault(Call(write), op="ListObjectsV2")
    found = verification.verify("content")
    again = "was replaced or removed while it was verified; run again"
    assert found["a"] == found["b"] == f"! destination {again}"
    assert found["c"].startswith("! source changed since")
    assert found["d"].startswith("! source vanished since")
    assert {found["e"], found["f"]} == {"= both"}

    def remove_later(_request: object) -> None:
        client.delete_object(Bucket=bucket, Key="x/f")

    proxy.faults.clear()
    proxy.fault(Call(remove_later), op="HeadObject", key="x/f")
    assert verification.verify("metadata")["f"] == "+ destination gone, though proven"


def test_an_error_that_every_request_would_meet(verification: Looking, proxy: Proxy) -> None:
    proxy.fault(expired_token(), op="GetObject")
    with pytest.raises(WaybillError, match="have expired"):
        verification.verify("content", max_concurrency=1)
    assert proxy.count(op="GetObject") <= 3


def test_stored_checksums(verification: Looking, proxy: Proxy, s3: S3Server) -> None:
    """By HEAD alone: an object that has none is as proven, one whose checksum is not to be had
    is asked for the rest, and one that may not be asked is named."""
    bucket = verification.bucket
    s3.client().put_object(Bucket=bucket, Key="x/a", Body=FILES["a"])  # the same ETag, no SHA-256
    s3.client().put_object(
        Bucket=bucket,
        Key="x/b",
        Body=FILES["b"],
        Metadata={"Source-SHA256": sha256_of(b"another")},
    )
    denied = proxy.fault(access_denied(), op="HeadObject", key="x/c", times=1)
    proxy.fault(access_denied(), op="HeadObject", key="x/d")
    # An object of the same bytes, put in another way.
    upload = s3.client().create_multipart_upload(Bucket=bucket, Key="x/e")["UploadId"]
    part = {"Bucket": bucket, "Key": "x/e", "UploadId": upload}
    etag = s3.client().upload_part(PartNumber=1, Body=FILES["e"], **part)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.client().complete_multipart_upload(MultipartUpload=parts, **part)

    found = verification.verify("metadata")
    assert found["a"] == "= both S3 tells no SHA-256 of it; size and ETag are as proven"
    assert found["b"].startswith("* destination its source-sha256")
    assert found["c"].startswith("= both")
    assert denied.hits == 1
    assert found["d"].startswith("! destination s3://")
    assert found["e"].startswith("* destination the object was written again")
    assert found["f"] == "= both"
    assert {r.method for r in proxy.requests} == {"GET", "HEAD"}
    assert not proxy.count(op="GetObject")
    proxy.faults.clear()
    assert verification.verify("content") == AGREE  # all of them hold the bytes that were proven


def test_what_was_proven_without_a_hash(verification: Looking, proxy: Proxy, s3: S3Server) -> None:
    """With compare = "size": both sides' bytes are held against each other."""
    verification.prove(lambda proof: proof._replace(sha256=""))
    assert verification.verify("content") == AGREE
    unproven = "= both its SHA-256 was never proven; size and ETag are as they were"
    assert verification.verify("metadata") == dict.fromkeys(FILES, unproven)
    s3.client().put_object(Bucket=verification.bucket, Key="x/a", Body=FILES["a"])
    s3.client().put_object(Bucket=verification.bucket, Key="x/b", Body=FILES["b"][:-1] + b"9")
    found = verification.verify("content")
    assert found["b"].startswith("* both the two sides hold different bytes")
    assert found | {"b": "= both"} == AGREE
    assert verification.verify("metadata")["b"].startswith("* destination the object was written")


def test_no_faster_than_allowed(verification: Looking, proxy: Proxy) -> None:
    begun = datetime.now(UTC)
    assert verification.verify("content", max_bandwidth=300) == AGREE
    seconds = (datetime.now(UTC) - begun).total_seconds()
    assert seconds > 1.6  # 600 bytes, the last 100 of them need not be waited for
    assert proxy.count(op="GetObject") == len(FILES)
