"""Uploads in parts: names that XML cannot hold (B11), parts that may not be listed (E9)."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import botocore.exceptions as be
import pytest

from support.engines import put
from support.jobs import ENGINES, Use, make
from support.objects import stored
from support.proxy import (
    Answer,
    Proxy,
    Rewrite,
    access_denied,
)
from support.server import S3Server
from support.transfers import transfer_of
from support.uploads import Uploads


@ENGINES
@pytest.mark.parametrize("form", ["as they are", "as references"])
def test_B11_control_characters_in_the_name_of_a_file_in_parts(
    engine: str,
    form: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    use(proxy.endpoint_url)
    name = "a\x01b\x1f\ufffe\tc"
    if form == "as references":  # as S3 writes them
        written = Rewrite(
            lambda body: re.sub(rb"[\x01\x1f]", lambda c: b"&#x%X;" % ord(c[0]), body)
        )
        for op in ("CreateMultipartUpload", "CompleteMultipartUpload", "ListParts"):
            proxy.fault(written, op=op)
    job = Uploads(tmp_path, bucket, engine=engine)
    large = job.item(name, small_parts)
    failed = job.leave_open(proxy, large)
    assert "access denied to CompleteMultipartUpload" in failed[name]
    assert len(job.record.uploads) == proxy.count(op="CreateMultipartUpload") == 1
    proxy.clear()
    assert job.fail(large) == {}  # resumed
    assert proxy.count(op="ListParts") == 1
    assert proxy.count(op="UploadPart") == proxy.count(op="CreateMultipartUpload") == 0
    assert stored(s3, bucket, f"data/{name}") == small_parts
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    other = job.item(name, small_parts + b"1")  # begun, and then changed: aborted
    job.leave_open(proxy, other)
    etag = s3.client().head_object(Bucket=bucket, Key=f"data/{name}")["ETag"].strip('"')
    assert job.fail(job.item(name, small_parts + b"2", etag)) == {}
    assert stored(s3, bucket, f"data/{name}") == small_parts + b"2"
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


@ENGINES
def test_B11_an_error_about_such_a_name_keeps_its_code(
    engine: str, use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    told = Answer(400, "EntityTooLarge", "Too large", extra_xml="<Key>a&#x1;b\x02</Key>")
    proxy.fault(told, op="PutObject")
    transfer = transfer_of(tmp_path, bucket, engine=engine)
    with make(transfer) as made, pytest.raises(be.ClientError, match="EntityTooLarge"):
        put(made, b"x", key="a\x01b")


@ENGINES
def test_E9_where_parts_cannot_be_listed_the_upload_begins_anew(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    items = [job.item(name, small_parts + name.encode()) for name in ("one", "two")]
    job.leave_open(proxy, *items)
    proxy.clear()
    proxy.fault(access_denied(), op="ListParts")
    with caplog.at_level(logging.WARNING):
        assert job.fail(*items) == {}
    said = [r.getMessage() for r in caplog.records if "ListParts" in r.getMessage()]
    assert len(said) == 1
    assert "s3:ListMultipartUploadParts" in said[0] and "begin anew" in said[0]
    assert proxy.count(op="UploadPart") == 4
    assert proxy.count(op="AbortMultipartUpload") == 2
    for name in ("one", "two"):
        assert stored(s3, bucket, f"data/{name}") == small_parts + name.encode()
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert job.record.uploads == {}


@ENGINES
def test_E9_also_where_nothing_may_be_aborted(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    large = job.item("large", small_parts)
    job.leave_open(proxy, large)
    for op in ("ListParts", "AbortMultipartUpload"):
        proxy.fault(access_denied(), op=op)
    with caplog.at_level(logging.WARNING):
        assert job.fail(large) == {}
    assert stored(s3, bucket, "data/large") == small_parts
    assert "AbortMultipartUpload is refused" in caplog.text
    assert job.record.uploads == {}
