"""Answers that are not whole: no answer of S3 (E5), headers that are left out (B1)."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from support.jobs import ENGINES, LARGE, MIB, Use, fetch, there
from support.objects import stored
from support.proxy import (
    Answer,
    Instead,
    Page,
    Proxy,
    SetHeaders,
)
from support.server import S3Server
from support.uploads import Uploads


@ENGINES
def test_E5_a_page_instead_of_an_answer_is_tried_again_then_told(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    proxy.fault(Page(), op="PutObject", key="*/once", times=1)
    proxy.fault(Page(), op="PutObject", key="*/ever")
    names = ["ever", "once", *(f"f{i}" for i in range(5))]
    failed = job.fail(*(job.item(name, name.encode()) for name in names))
    assert failed.keys() == {"ever"}
    assert f"s3://{bucket}/data/ever" in failed["ever"]
    # What is no XML either, botocore takes for an error of the server.
    assert "no ETag" in failed["ever"] or "kept answering 500" in failed["ever"]
    assert "\n" not in failed["ever"]
    assert there(s3, bucket) == set(names) - {"ever"} == set(job.record.done)
    assert proxy.count(op="PutObject", key="*/once") == 2


@ENGINES
def test_E5_an_upload_is_closed_when_its_answer_was_understood(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    data = bytes(LARGE)
    large, small = job.item("large", data), job.item("small", b"1")
    page = proxy.fault(Page(), op="CompleteMultipartUpload")
    assert job.fail(large, small).keys() == {"large"}
    assert page.hits > 1
    assert len(job.record.uploads) == 1
    proxy.faults.clear()
    proxy.clear()
    # One that was done, and whose answer nobody could read.
    proxy.fault(SetHeaders({"content-length": None}), op="CompleteMultipartUpload")
    proxy.fault(Instead(b"<html>well formed</html>"), op="CompleteMultipartUpload", times=1)
    assert job.fail(large, small) == {}
    assert proxy.count(op="UploadPart") == 0
    assert job.record.uploads == {}
    assert stored(s3, bucket, "data/large") == data
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_E5_an_error_in_a_good_answer_is_an_error(
    use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket)
    failure = proxy.fault(Answer(200, "InternalError", "Try again."), op="CompleteMultipartUpload")
    assert "InternalError" in job.fail(job.item("large", bytes(LARGE)))["large"]
    assert len(job.record.uploads) == 1
    assert there(s3, bucket) == set()
    assert failure.hits > 1


# B1: what an answer leaves out


@ENGINES
@pytest.mark.parametrize("header", ["ETag", "Content-Length", "Last-Modified"])
def test_B1_what_an_answer_leaves_out_is_counted_and_proven(
    engine: str, header: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    files = {"small": b"1", "middle": random.Random(2).randbytes(9 * MIB), "empty": b""}
    for path, data in files.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    proxy.fault(SetHeaders({header.lower(): None}), op="GetObject")
    outcome = fetch(tmp_path / "in", bucket, s3, *files, engine=engine)
    assert outcome.failed == []
    for path, data in files.items():
        assert (tmp_path / "in" / path).read_bytes() == data
        assert outcome.proofs[path].etag == hashlib.md5(data).hexdigest()


@ENGINES
def test_B1_what_comes_unpacked_or_as_a_page_is_one_failure(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    packed = gzip.compress(bytes(100_000))
    files = {"packed": packed, "page": bytes(70), "large": bytes(9 * MIB), "fine": b"1"}
    for path, data in files.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    proxy.fault(Instead(bytes(100_000)), op="GetObject", key="*/packed")
    proxy.fault(Page(), op="GetObject", key="*/page")
    proxy.fault(Page(), op="GetObject", key="*/large")
    outcome = fetch(tmp_path / "in", bucket, s3, *files, engine=engine)
    failed = {failure.path: failure.message for failure in outcome.failed}
    assert failed.keys() == {"packed", "page", "large"}
    assert "unpacked or changed on the way" in failed["packed"]
    assert "ETag" in failed["large"]
    assert all("\n" not in message for message in failed.values())
    assert [file.name for file in (tmp_path / "in").rglob("*")] == ["fine"]


@ENGINES
def test_B1_ranges_and_questions_without_headers_are_one_failure(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    for path in ("range", "head", "fine"):
        data = b"1" if path == "fine" else bytes(LARGE)
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    proxy.fault(SetHeaders({"etag": None}), op="GetObject", key="*/range")
    proxy.fault(SetHeaders({"etag": None}), op="HeadObject", key="*/head")
    outcome = fetch(tmp_path / "in", bucket, s3, "range", "head", "fine", engine=engine)
    failed = {failure.path: failure.message for failure in outcome.failed}
    assert failed.keys() == {"range", "head"}
    assert all("ETag" in message for message in failed.values())
