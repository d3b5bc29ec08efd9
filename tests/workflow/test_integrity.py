"""Bytes that are damaged on the way, against a server that checks them as S3 does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.failing import fleet, the_failures
from support.objects import base64_sha256, keys, stored
from support.proxy import CheckSha256, FlipByte, Proxy, Truncate
from support.server import S3Server
from support.workflow import Workflow

LARGE = 65 << 20  # five parts
ATTEMPTS = 3


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentChecksumMismatch"])
def test_damage_on_the_way(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, code: str
) -> None:
    """What is damaged once is sent again, what is always damaged fails by name, and nothing that
    S3 refused is marked."""
    small = {f"f{i}": b"%d" % i * 100 for i in range(6)}
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        way = ships.add("data", small)
        large = ("large", "largest") if code == "BadDigest" else ()
        for number, path in enumerate(large):
            (way.folder / path).write_bytes(bytes([number]) * LARGE)
        once = [
            way.fault(FlipByte("request", 50), op="PutObject", key="f1", times=1),
            way.fault(Truncate("request", 99), op="PutObject", key="f2", times=1),
        ]
        ever = [way.fault(FlipByte("request", 0), op="PutObject", key="f3")]
        expected = [("f3: ", f"s3://{bucket}/data/f3: ", "damaged", code, "run again")]
        if large:
            flip = FlipByte("request", -1)
            once.append(way.fault(flip, op="UploadPart", key="large", part=2, times=1))
            ever.append(way.fault(flip, op="UploadPart", key="largest", part=4))
            expected.append(("largest: ", f"s3://{bucket}/data/largest: ", "damaged", "run again"))
        way.fault(CheckSha256(code))

        run = ships.run(code=1)

        the_failures(run, "data", expected)
        assert [fault.hits for fault in once] == [1] * len(once)
        assert [fault.hits for fault in ever] == [ATTEMPTS] * len(ever)
        way.check_nothing_claimed()
        assert set(keys(s3, bucket)) == {
            f"data/{path}" for path in (*small, *large[:1]) if path != "f3"
        }
        for request in way.proxy.requests:  # every byte went under a checksum
            if request.op in ("PutObject", "UploadPart"):
                assert request.headers["x-amz-checksum-sha256"]

        # Mended, and still checked.
        way.mend()
        way.fault(CheckSha256(code))
        ships.run()
        assert way.puts() == ["f3"]
        assert [r.part for r in way.proxy.select(op="UploadPart")] == ([4] if large else [])
        assert way.marked() == {*small, *large}
        for path in way.marked():
            data = (way.folder / path).read_bytes()
            assert stored(s3, bucket, f"data/{path}") == data
            head = s3.client().head_object(
                Bucket=bucket, Key=f"data/{path}", ChecksumMode="ENABLED"
            )
            assert head["Metadata"]["source-sha256"] == hashlib.sha256(data).hexdigest()
            if path in small:
                assert head["ChecksumSHA256"] == base64_sha256(data)
