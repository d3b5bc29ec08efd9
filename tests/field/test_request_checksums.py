"""B4: a store that refuses the checksum headers of S3."""

from __future__ import annotations

import dataclasses
import hashlib
from base64 import b64encode
from pathlib import Path

from support.jobs import ENGINES, Use, fetch
from support.objects import stored
from support.proxy import (
    Answer,
    CheckSha256,
    Fault,
    FlipByte,
    Proxy,
    Request,
)
from support.server import S3Server
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.move.publish import publish

CHECKSUM_HEADERS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")


class Refusal(Fault):
    """A store that takes no request with a checksum of S3."""

    def __init__(self) -> None:
        super().__init__(Answer(400, "InvalidArgument", "Unsupported header received."))

    def take(self, request: Request) -> bool:
        has = any(name.startswith(CHECKSUM_HEADERS) for name in request.headers)
        return has and super().take(request)


def no_checksums(requests: list[Request]) -> None:
    for request in requests:
        assert not [n for n in request.headers if n.startswith(CHECKSUM_HEADERS)], request.op
        assert "aws-chunked" not in request.headers.get("content-encoding", ""), request.op
        if request.op in ("PutObject", "UploadPart"):
            assert "content-md5" in request.headers, request.op


@ENGINES
def test_B4_when_required_is_what_it_says(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine, request_checksum_calculation="when_required")
    proxy.faults.append(Refusal())
    flips = [
        proxy.fault(FlipByte("request", 1), op=op, key=key, times=1)
        for op, key in (("PutObject", "*small"), ("UploadPart", "*large"))
    ]
    proxy.fault(CheckSha256())
    files = {"small": b"small", "large": small_parts, "empty": b""}
    outcome = job.run(*(job.item(path, data) for path, data in files.items()))
    assert outcome.failed == []
    for path, data in files.items():
        assert stored(s3, bucket, f"data/{path}") == data
        assert outcome.proofs[path].sha256 in ("", hashlib.sha256(data).hexdigest())
    assert [flip.hits for flip in flips] == [1, 1]
    manifest = tmp_path / "m.json"
    manifest.write_text('{\n"generated_at": "2026-01-02T03:04:05.678Z",\n  "files": [\n  ]\n}\n')
    publish(dataclasses.replace(job.transfer, publish_prefix="data/manifests/"), manifest)
    no_checksums(proxy.requests)
    (sent,) = proxy.select(op="PutObject", key="*manifests*")
    md5 = hashlib.md5(manifest.read_bytes()).digest()
    assert sent.headers["content-md5"] == b64encode(md5).decode()
    fetched = fetch(
        tmp_path / "in", bucket, s3, *files,
        engine=engine, request_checksum_calculation="when_required",
    )  # fmt: skip
    assert fetched.failed == []
    no_checksums(proxy.requests)
    for path, data in files.items():
        assert (tmp_path / "in" / path).read_bytes() == data


def test_B4_a_whole_run_into_such_a_store(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, proxy)
    workflow.write("a", b"1")
    workflow.write("b", b"2")
    proxy.faults.append(Refusal())
    settings = {
        "source": str(workflow.source),
        "destination": f"s3://{bucket}/data",
        "endpoint_url": proxy.endpoint_url,
    }
    s3.client().put_object(Bucket=bucket, Key="data/b", Body=b"3")
    workflow.configure(t={**settings, "request_checksum_calculation": "when_required"})
    workflow.run(code=0)
    no_checksums(proxy.requests)
    assert stored(s3, bucket, "data/a") == b"1"
    assert stored(s3, bucket, "data/b") == b"2"
    assert {"ListObjectsV2", "HeadObject", "PutObject"} == {r.op for r in proxy.requests}


@ENGINES
def test_B4_an_upload_with_other_checksums_is_begun_anew(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    """S3 refuses to mix parts with and without checksums."""
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    large = job.item("large", small_parts)
    job.leave_open(proxy, large)
    mixed = Answer(400, "InvalidRequest", "The upload was created using the sha256 checksum type.")
    proxy.fault(mixed, op="CompleteMultipartUpload", times=1)
    assert job.fail(large) == {}
    assert stored(s3, bucket, "data/large") == small_parts
    assert job.record.uploads == {}
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
