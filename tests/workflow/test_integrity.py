"""Bytes that are damaged on the way, against a server that checks them as S3 does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from support.failing import Way, fleet, the_failures
from support.objects import keys, stored
from support.proxy import CheckSha256, FlipByte, Proxy, Truncate
from support.server import S3Server
from support.workflow import Workflow

LARGE = 65 << 20  # five parts
ATTEMPTS = 3
MISMATCH = "XAmzContentChecksumMismatch"
CHECKED_BY = {"PutObject": "x-amz-checksum-sha256", "UploadPart": "x-amz-checksum-crc64nvme"}


def check_bytes(way: Way) -> None:
    """From now on the server refuses what does not match its checksum, in both ways it may."""
    way.fault(CheckSha256(), op="PutObject")
    way.fault(CheckSha256(MISMATCH), op="UploadPart")


@pytest.mark.engine
def test_damage_on_the_way(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> None:
    """What is damaged once is sent again, what is always damaged fails by name, and nothing that
    S3 refused is marked."""
    small = {f"f{i}": b"%d" % i * 100 for i in range(6)}
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        way = ships.add("data", small)
        for number, path in enumerate(("large", "largest")):
            (way.folder / path).write_bytes(bytes([number]) * LARGE)
        flip = FlipByte("request", -1)
        once = [
            way.fault(FlipByte("request", 50), op="PutObject", key="f1", times=1),
            way.fault(Truncate("request", 99), op="PutObject", key="f2", times=1),
            way.fault(flip, op="UploadPart", key="large", part=2, times=1),
        ]
        ever = [
            way.fault(FlipByte("request", 0), op="PutObject", key="f3"),
            way.fault(flip, op="UploadPart", key="largest", part=5),
        ]
        check_bytes(way)

        run = ships.run(code=1)

        url = f"s3://{bucket}/data"
        the_failures(
            run,
            "data",
            [
                ("f3: ", f"{url}/f3: ", "damaged on the way (BadDigest)", "run again"),
                ("largest: ", f"{url}/largest: ", f"damaged on the way ({MISMATCH})", "run again"),
            ],
        )
        assert [fault.hits for fault in once] == [1] * len(once)
        assert [fault.hits for fault in ever] == [ATTEMPTS] * len(ever)
        way.check_nothing_claimed()
        whole = {*small, "large"} - {"f3"}
        assert set(keys(s3, bucket)) == {f"data/{path}" for path in whole}
        for request in way.proxy.requests:  # every byte went under a checksum
            if request.op in CHECKED_BY:
                assert request.headers[CHECKED_BY[request.op]]

        # Mended, and still checked.
        way.mend()
        check_bytes(way)
        ships.run()
        assert way.puts() == ["f3"]
        assert [r.part for r in way.proxy.select(op="UploadPart")] == [5]
        assert way.marked() == {*small, "large", "largest"}
        for path in way.marked():
            data = (way.folder / path).read_bytes()
            assert stored(s3, bucket, f"data/{path}") == data
            head = s3.client().head_object(Bucket=bucket, Key=f"data/{path}")
            assert head["Metadata"]["source-sha256"] == hashlib.sha256(data).hexdigest()
