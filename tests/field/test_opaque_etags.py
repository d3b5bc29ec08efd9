"""B10: ETags of 32 hex digits that are no MD5s."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from pathlib import Path

from support.jobs import ENGINES, MIB, Use, fetch
from support.proxy import (
    DropHeader,
    Proxy,
    Rewrite,
    SetHeaders,
)
from support.server import S3Server
from support.transfers import transfer_of
from support.uploads import Uploads
from waybill.model.difference import MOVE, NEW, Difference
from waybill.move.compare import Comparer
from waybill.move.download import Downloader
from waybill.results.journal import Journal, Record
from waybill.s3.bucket import Bucket


def opaque(proxy: Proxy, etag: str, key: str = "*") -> None:
    """The store gives objects this ETag, and tells no checksum."""
    proxy.fault(DropHeader("if-match"), op="GetObject", key=key)
    bare = {"etag": f'"{etag}"', "x-amz-checksum-sha256": None, "x-amz-checksum-crc64nvme": None}
    bare |= {"x-amz-checksum-crc32": None, "x-amz-checksum-type": None}
    for op in ("GetObject", "HeadObject"):
        proxy.fault(SetHeaders(bare), op=op, key=key)


ETAG = "0123456789abcdef" * 2


@ENGINES
def test_B10_a_store_whose_etags_are_no_md5s_is_told_and_has_a_key(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    files = {"a": b"1", "b": random.Random(3).randbytes(9 * MIB), "c": b"2"}
    for path, data in files.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    opaque(proxy, ETAG)
    outcome = fetch(tmp_path / "in", bucket, s3, *files, etags=ETAG, engine=engine)
    assert {failure.path for failure in outcome.failed} == files.keys()
    for failure in outcome.failed:
        assert "do not agree with its MD5 ETag" in failure.message
        assert "set etag_is_md5 = false" in failure.message
        assert "\n" not in failure.message
    assert list((tmp_path / "in").iterdir()) == []
    outcome = fetch(
        tmp_path / "in", bucket, s3, *files, etags=ETAG, engine=engine, etag_is_md5=False
    )
    assert outcome.failed == []
    for path, data in files.items():
        assert (tmp_path / "in" / path).read_bytes() == data
        assert outcome.proofs[path].sha256 == hashlib.sha256(data).hexdigest()


@ENGINES
def test_B10_bytes_that_are_damaged_are_not_excused(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """One object that agrees shows that ETags are MD5s; bytes that differ each time are damaged."""
    use(proxy.endpoint_url)
    for path in ("a", "b"):
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=bytes(100))
    opaque(proxy, ETAG, key="*/a")
    opaque(proxy, hashlib.md5(bytes(100)).hexdigest(), key="*/b")
    transfer = transfer_of(
        tmp_path / "in", bucket, "data/", down=True, results=tmp_path / "r", engine=engine
    )
    etags = {"a": ETAG, "b": hashlib.md5(bytes(100)).hexdigest()}
    items = [
        Difference(NEW, MOVE, path, 100, 0, 0, "", etag, "0", "") for path, etag in etags.items()
    ]
    (tmp_path / "in").mkdir()
    with Journal(tmp_path / "journal.jsonl", "run") as journal:
        outcome = Downloader(transfer, journal, Record(), "run", False).run(items)
    (failure,) = outcome.failed
    assert failure.path == "a"
    assert "etag_is_md5" not in failure.message
    proxy.faults.clear()
    flips = iter(range(99))
    turn = {"etag": f'"{ETAG}"', "x-amz-checksum-sha256": None, "x-amz-checksum-crc32": None}
    proxy.fault(DropHeader("if-match"), op="GetObject")
    proxy.fault(SetHeaders({**turn, "x-amz-checksum-crc64nvme": None}), op="GetObject")
    proxy.fault(Rewrite(lambda body: bytes([next(flips)]) + body[1:]), op="GetObject")
    outcome = fetch(tmp_path / "in", bucket, s3, "a", etags=ETAG, engine=engine)
    assert "etag_is_md5" not in outcome.failed[0].message


def test_B10_what_is_compared_without_md5s(
    use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """The claim of the writer decides, where the ETag would contradict it."""
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket)
    item = job.item("a", b"1")
    sha256 = hashlib.sha256(b"1").hexdigest()
    s3.client().put_object(
        Bucket=bucket, Key="data/a", Body=b"1", Metadata={"source-sha256": sha256}
    )
    opaque(proxy, ETAG)
    listed = next(iter(Bucket(job.transfer).list_prefix()))._replace(etag=ETAG)
    for is_md5, same in ((True, False), (False, True)):
        comparer = Comparer(dataclasses.replace(job.transfer, etag_is_md5=is_md5))
        verdict = comparer.same([item.entry], {"a": sha256}, {"a": listed})["a"]
        assert verdict.same is same
