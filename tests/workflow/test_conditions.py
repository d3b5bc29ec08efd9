"""What may be overwritten, what counts as equal, two writers at one key, lost answers, stores
without conditional writes, and the settings that travel as headers."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from support.failing import Fleet, Way, failures, fleet, the_failures
from support.objects import stored
from support.proxy import (
    Call,
    Fault,
    LoseResponse,
    Proxy,
    Request,
    no_such_upload,
    not_implemented,
    precondition_failed,
)
from support.server import S3Server
from support.workflow import Workflow

LARGE = 65 << 20  # five parts
PARTS = 5
ELSE = "was written or removed by someone else since the listing; run again"


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships


class Conditional(Fault):
    """A fault of requests that carry a condition."""

    def take(self, request: Request) -> bool:
        return bool({"if-match", "if-none-match"} & set(request.headers)) and super().take(request)


def put(s3: S3Server, way: Way, path: str, data: bytes, **more: Any) -> None:
    s3.client().put_object(Bucket=way.bucket, Key=way.prefix + path, Body=data, **more)


def hashed(data: bytes) -> dict[str, Any]:
    """The metadata by which an object tells the SHA-256 of the file it came from."""
    return {"Metadata": {"source-sha256": hashlib.sha256(data).hexdigest()}}


def statuses(way: Way) -> dict[str, str]:
    return {path: row["status"] for path, row in way.results.all("diff").items()}


@pytest.mark.engine
def test_what_may_be_overwritten(ships: Fleet, s3: S3Server) -> None:
    files = {f"{i} {name}": b"data" * 9 for i, name in enumerate((
        "absent", "same", "same by MD5", "same by upload_file", "larger", "other", "other by MD5",
    ))}  # fmt: skip
    files["7 in parts"] = bytes(6 << 20)
    for policy in ("never", "if-changed", "always"):
        way = ships.add(policy, files, overwrite=policy)
        put(s3, way, "1 same", b"data" * 9, **hashed(b"data" * 9))
        put(s3, way, "2 same by MD5", b"data" * 9)
        s3.client().upload_file(
            str(way.folder / "3 same by upload_file"), way.bucket, f"{policy}/3 same by upload_file"
        )
        put(s3, way, "4 larger", b"data" * 10, **hashed(b"data" * 9))
        put(s3, way, "5 other", b"atad" * 9, **hashed(b"atad" * 9))
        put(s3, way, "6 other by MD5", b"atad" * 9)
        s3.client().upload_file(
            str(way.folder / "7 in parts"),
            way.bucket,
            f"{policy}/7 in parts",
            ExtraArgs={"ServerSideEncryption": "aws:kms"},  # whose ETag is no MD5
            Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 << 20),
        )
    absent, _, _, _, larger, other, other_md5, in_parts = files

    run = ships.run(code=1)

    for name in ships.ways:
        changed = "!" if name == "never" else "*"
        expected = ("+", "=", "=", "=", changed, changed, changed, "!")
        assert statuses(ships[name]) == dict(zip(files, expected, strict=True))
    refused = ("; not overwritten", 'overwrite = "never"')
    the_failures(
        run,
        "never",
        [
            (f"{larger}: size differs", *refused),
            (f"{other}: SHA-256 differs", *refused),
            (f"{other_md5}: SHA-256 differs", *refused),
            (f"{in_parts}: the object has no checksum that can be compared", *refused),
        ],
    )
    ships["never"].check_nothing_claimed()
    changed = [larger, other, other_md5, in_parts]
    assert ships["never"].puts() == [absent]
    assert ships["if-changed"].puts() == [absent, *changed]
    assert ships["always"].puts() == list(files)
    conditions = {
        r.key: (
            r.headers.get("if-match"),
            r.headers.get("if-none-match"),
        )
        for way in ships.ways.values()
        for r in way.proxy.select(op="PutObject")
    }
    for name in ("never", "if-changed"):
        assert conditions[f"{name}/{absent}"] == (None, "*")
    assert all(conditions[f"if-changed/{path}"][0] for path in changed)
    assert {conditions[f"always/{path}"] for path in files} == {(None, None)}
    for name in ("if-changed", "always"):
        assert ships[name].marked() == set(files)
        for path, data in files.items():
            assert stored(s3, ships.bucket, f"{name}/{path}") == data

    ships.mend()
    ships.settings["never"]["overwrite"] = "if-changed"
    ships.run()
    assert [way.puts() for way in ships.ways.values()] == [changed, [], []]
    assert ships["never"].marked() == set(files)


def test_what_counts_as_equal(ships: Fleet, s3: S3Server) -> None:
    hour = 3600
    for compare in ("size", "mtime", "sha256"):
        way = ships.add(
            compare, {"longer": b"12", "newer": b"1", "older": b"1"}, compare=compare, publish=False
        )
        for path in ("longer", "newer", "older"):
            put(s3, way, path, b"2")
            age = hour if path == "newer" else -hour
            os.utime(way.folder / path, (time.time() + age,) * 2)
    ships.run()
    assert ships["size"].puts() == ["longer"]
    assert ships["mtime"].puts() == ["longer", "newer"]
    assert ships["sha256"].puts() == ["longer", "newer", "older"]
    for name, heads in (("size", 0), ("mtime", 0), ("sha256", 2)):
        assert ships[name].proxy.count(op="HeadObject") == heads
        assert ships[name].marked() == {"longer", "newer", "older"}


@pytest.mark.engine
def test_two_writers_at_one_key(ships: Fleet, s3: S3Server) -> None:
    """What somebody else wrote after the listing is not overwritten unseen."""
    way = ships.add("raced", {f"f{i}": b"mine" for i in range(5)} | {"large": bytes(LARGE)})
    for path in ("f1", "f3"):
        put(s3, way, path, b"before")

    def theirs(path: str, data: bytes, **more: Any) -> Call:
        return Call(lambda _: put(s3, way, path, data, **more))

    for path in ("f0", "f1"):
        way.fault(theirs(path, b"theirs"), op="PutObject", key=path)
    way.fault(theirs("f2", b"mine", **hashed(b"mine")), op="PutObject", key="f2")
    way.fault(
        Call(lambda _: s3.client().delete_object(Bucket=way.bucket, Key="raced/f3")),
        op="PutObject",
        key="f3",
    )
    way.fault(theirs("large", b"theirs"), op="CompleteMultipartUpload")
    way.fault(precondition_failed(), op="CompleteMultipartUpload")

    run = ships.run(code=1)

    names = ("f0", "f1", "f3", "large")
    the_failures(run, "raced", [(f"{n}: s3://{way.bucket}/raced/{n} ", ELSE) for n in names])
    way.check_nothing_claimed()
    for path in ("f0", "f1", "large"):
        assert stored(s3, way.bucket, f"raced/{path}") == b"theirs"
    assert stored(s3, way.bucket, "raced/f2") == b"mine"  # by whomever

    way.mend()
    ships.run()
    assert way.puts() == ["f0", "f1", "f3"]
    assert way.proxy.count(op="UploadPart") == 0  # they are still there
    assert way.proxy.select(op="CompleteMultipartUpload")[0].headers["if-match"]
    assert way.marked() == {*names, "f2", "f4"}
    for path in way.marked():
        assert stored(s3, way.bucket, f"raced/{path}") == (way.folder / path).read_bytes()


@pytest.mark.engine
def test_answers_that_are_lost(ships: Fleet, s3: S3Server) -> None:
    """The request was done though nobody said so: it is not done twice, and it counts."""
    way = ships.add("lost", {"new": b"1", "changed": b"22", "large": bytes(LARGE)})
    put(s3, way, "changed", b"before")
    faults = [
        way.fault(LoseResponse(), times=1, op=op, key=path)
        for op, path in (
            ("PutObject", "new"),
            ("PutObject", "changed"),
            ("UploadPart", "large"),
            ("CompleteMultipartUpload", "large"),
        )
    ]
    # S3 may take the second request for the first one, or no longer know the upload.
    gone = way.fault(no_such_upload("x"), op="CompleteMultipartUpload", after=1)
    run = ships.run()
    assert [fault.hits for fault in (*faults, gone)] == [1] * 5
    assert failures(run, "lost") == []
    for path in ("new", "changed", "large"):
        done = [
            r
            for r in way.proxy.select(key=f"lost/{path}")
            if r.op in ("PutObject", "CompleteMultipartUpload") and r.upstream_status == 200
        ]
        assert len(done) == 1, path
        head = s3.client().head_object(Bucket=way.bucket, Key=f"lost/{path}")
        data = (way.folder / path).read_bytes()
        (marker,) = [row for p, row in way.results.all("markers").items() if p == path]
        assert marker["etag"] == head["ETag"].strip('"')
        assert marker["sha256"] == hashlib.sha256(data).hexdigest()
        assert head["Metadata"]["source-sha256"] == marker["sha256"]
        assert stored(s3, way.bucket, f"lost/{path}") == data


@pytest.mark.engine
def test_a_store_without_conditional_writes(ships: Fleet, s3: S3Server) -> None:
    files = {f"f{i}": b"mine" for i in range(20)} | {"large": bytes(LARGE)}
    way = ships.add("plain", files, max_concurrency=10)
    put(s3, way, "f0", b"before")
    fault = Conditional(not_implemented())
    way.proxy.faults.append(fault)
    # ``large`` alone: the refusal meets CompleteMultipartUpload first.
    alone = ships.add("alone", {"large": bytes(LARGE)})
    alone.proxy.faults.append(Conditional(not_implemented()))
    run = ships.run()
    assert fault.hits
    assert failures(run, "plain") == []
    assert way.marked() == set(files)
    assert way.proxy.count(op="UploadPart") == PARTS
    assert way.proxy.count(op="CreateMultipartUpload") == 1
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=way.bucket)
    assert stored(s3, way.bucket, "plain/f0") == b"mine"
    assert alone.proxy.count(op="UploadPart") == PARTS
    assert [r.status for r in alone.proxy.select(op="CompleteMultipartUpload")] == [501, 200]
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=way.bucket)
    assert alone.marked() == {"large"}


@pytest.mark.engine
def test_settings_that_travel_as_headers(ships: Fleet, s3: S3Server) -> None:
    written = {
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "alias/waybill",
        "x-amz-tagging": "project=a+b&owner=c%2Bd",
    }
    always = {"x-amz-expected-bucket-owner": "123456789012", "x-amz-request-payer": "requester"}
    way = ships.add(
        "set",
        {"small": b"1", "large": bytes(LARGE), "there": b"1"},
        storage_class="STANDARD_IA",
        sse="aws:kms",
        sse_kms_key_id="alias/waybill",
        tags__project="a b",
        tags__owner="c+d",
        expected_bucket_owner="123456789012",
        requester_pays=True,
        request_checksum_calculation="when_required",
    )
    put(s3, way, "there", b"1")
    ships.run()
    assert way.marked() == {"small", "large", "there"}
    operations = {r.op for r in way.proxy.requests}
    assert operations == {
        "ListObjectsV2", "HeadObject", "PutObject", "CreateMultipartUpload", "UploadPart",
        "CompleteMultipartUpload",
    }  # fmt: skip
    for request in way.proxy.requests:
        expected = always | (
            written if request.op in ("PutObject", "CreateMultipartUpload") else {}
        )
        assert {k: request.headers.get(k) for k in expected} == expected, request.op
