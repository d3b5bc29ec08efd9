"""What vouches for an object: rows A2, D4, D5 and E1 of the field list.

Most transfers run in this process, stage by stage (``Verifying``): what is looked at is what the
stages decide, not how Snakemake calls them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from awscrt import checksums as crt
from boto3.s3.transfer import TransferConfig

from support.objects import keys, stored
from support.proxy import Call, Proxy, SetHeaders
from support.server import S3Server
from support.verifying import Verifying
from support.workflow import Results, Workflow
from waybill.model.errors import ReportedError

MIB = 1 << 20
OLD, NEW = b"old bytes" * 9, b"new bytes" * 9
LARGE = {"old": b"old!" * (6 * MIB // 4), "new": b"new!" * (6 * MIB // 4)}
PARTS = TransferConfig(multipart_threshold=1, multipart_chunksize=5 * MIB)
ODD_PARTS = TransferConfig(multipart_threshold=1, multipart_chunksize=5 * MIB + 7)
CHANGED = "* destination"  # of a verification
KMS = {"ServerSideEncryption": "aws:kms"}  # an ETag that is no MD5


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def b64(digest: bytes) -> str:
    return b64encode(digest).decode()


def claim(data: bytes) -> dict[str, dict[str, str]]:
    return {"Metadata": {"source-sha256": sha256(data)}}


def client(s3: S3Server) -> Any:
    """A client that sends no checksums, so that the server tells none."""
    return s3.client(request_checksum_calculation="when_required")


def rewrite(s3: S3Server, bucket: str, key: str, data: bytes, how: str) -> None:
    """Put other bytes at a key as a client does that keeps the user metadata."""
    kept = s3.client().head_object(Bucket=bucket, Key=key)["Metadata"]
    match how:
        case "put":
            s3.client().put_object(Bucket=bucket, Key=key, Body=data, Metadata=kept)
        case "without checksums":
            client(s3).put_object(Bucket=bucket, Key=key, Body=data, Metadata=kept)
        case "untold":  # nothing but its ETag says that it is another
            client(s3).put_object(Bucket=bucket, Key=key, Body=data, Metadata=kept, **KMS)
        case "copy":
            s3.client().put_object(Bucket=bucket, Key="elsewhere", Body=data)
            source = {"Bucket": bucket, "Key": "elsewhere"}
            there = {"Bucket": bucket, "Key": key, "MetadataDirective": "REPLACE"}
            s3.client().copy_object(CopySource=source, Metadata=kept, **there)
        case "parts":
            put_file(client(s3), bucket, key, data, ODD_PARTS, Metadata=kept)


def put_file(
    client: Any, bucket: str, key: str, data: bytes, how: TransferConfig, **extra: Any
) -> None:
    client.upload_fileobj(BytesIO(data), bucket, key, ExtraArgs=extra, Config=how)


@pytest.fixture
def world(tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Verifying:
    return Verifying(tmp_path, proxy, bucket, monkeypatch)


def results(world: Verifying) -> Results:
    return Results(world.results)


def statuses(world: Verifying) -> dict[str, str]:
    """Status and action of each entry, in one word."""
    return {p: row["status"] + row["action"] for p, row in results(world).all("diff").items()}


def published(s3: S3Server, bucket: str, prefix: str) -> dict[str, str]:
    """SHA-256 by path, of the newest manifest in the bucket."""
    newest = keys(s3, bucket, f"{prefix}/manifests/")[-1]
    return {f["filename"]: f["sha256"] for f in json.loads(stored(s3, bucket, newest))["files"]}


REWRITTEN = {
    "put": ("put", OLD, NEW),
    "without checksums": ("without checksums", OLD, NEW),
    "copy": ("copy", OLD, NEW),
    "parts": ("parts", LARGE["old"], LARGE["new"]),
    "untold": ("untold", OLD, NEW),
}


def test_E1_a_run_sees_and_repairs_what_kept_its_metadata(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    """The object's own checksums, its ETag, or that it is not the proven one, whatever
    ``source-sha256`` says."""
    workflow = Workflow(tmp_path, proxy)
    workflow.configure(data={"destination": f"s3://{bucket}/x"})
    for name, (_, old, _) in REWRITTEN.items():
        workflow.write(name, old)
    workflow.write("same", OLD)
    workflow.run()
    for name, (how, _, new) in REWRITTEN.items():
        rewrite(s3, bucket, f"x/{name}", new, how)
    depth = {"config": "verify={depth: metadata}"}
    verified = workflow.run("verify", code=1, **depth)
    assert all(any(f"destination: {name}: " in t for t in verified.lines) for name in REWRITTEN)

    run = workflow.run()

    assert run.data_puts == sorted(f"x/{name}" for name in REWRITTEN)
    rows = workflow.results("data").all("diff")
    assert {p for p, row in rows.items() if row["status"] == "*"} == set(REWRITTEN)
    for name, (_, old, _) in REWRITTEN.items():
        assert "was written again since it was proven" in rows[name]["reason"]
        assert "source-sha256" in rows[name]["reason"]  # which was kept, and is contradicted
        assert stored(s3, bucket, f"x/{name}") == old
        assert published(s3, bucket, "x")[name] == sha256(old)
    workflow.run("verify", **depth)
    assert workflow.run().data_puts == []


@pytest.mark.parametrize("how", ["put", "untold"])
def test_E1_with_the_results_lost_the_manifest_tells(
    how: str, world: Verifying, s3: S3Server, bucket: str
) -> None:
    for name in ("a", "b"):
        (world.data / name).write_bytes(OLD)
    world.move()
    rewrite(s3, bucket, "x/a", NEW, how)
    shutil.rmtree(world.results)
    world.move()
    assert statuses(world) == {"a": "*move", "b": "=keep"}
    assert stored(s3, bucket, "x/a") == OLD
    assert set(published(s3, bucket, "x").values()) == {sha256(OLD)}


def test_E1_what_holds_the_same_bytes_is_not_moved_again(
    world: Verifying, s3: S3Server, bucket: str
) -> None:
    """Rewritten with the same bytes: what S3 computed says so."""
    (world.data / "a").write_bytes(OLD)
    (world.data / "parts").write_bytes(LARGE["old"])
    world.move()
    rewrite(s3, bucket, "x/a", OLD, "copy")
    rewrite(s3, bucket, "x/parts", LARGE["old"], "parts")
    etag = s3.client().head_object(Bucket=bucket, Key="x/parts")["ETag"].strip('"')
    assert etag.endswith("-2")
    world.move()
    markers = results(world).all("markers")
    assert statuses(world) == {"a": "=keep", "parts": "=keep"}
    assert (markers["parts"]["etag"], markers["parts"]["sha256"]) == (etag, sha256(LARGE["old"]))


def test_E1_a_download_fetches_the_new_bytes(world: Verifying, s3: S3Server, bucket: str) -> None:
    for name, (_, old, _) in REWRITTEN.items():
        s3.client().put_object(Bucket=bucket, Key=f"x/{name}", Body=old, **claim(old))
    world.move("download")
    for name, (how, _, new) in REWRITTEN.items():
        rewrite(s3, bucket, f"x/{name}", new, how)
    assert set(world.signs("metadata", "download").values()) == {"* source"}
    world.move("download")
    assert statuses(world) == dict.fromkeys(REWRITTEN, "*move")
    for name, (_, _, new) in REWRITTEN.items():
        assert (world.data / name).read_bytes() == new
        assert results(world).all("markers")[name]["sha256"] == sha256(new)
    assert set(world.signs("metadata", "download").values()) == {"= both"}


def test_E1_a_claim_is_no_proof_after_a_conflict(
    world: Verifying, s3: S3Server, bucket: str, proxy: Proxy
) -> None:
    """An object that appears as a file is sent, with the file's SHA-256 in its metadata."""
    for name in ("other", "same"):
        (world.data / name).write_bytes(OLD)
        there = {"Bucket": bucket, "Key": f"x/{name}", "Body": NEW if name == "other" else OLD}
        appears = Call(lambda _, there=there: client(s3).put_object(**there, **claim(OLD)))
        proxy.fault(appears, op="PutObject", key=f"x/{name}", times=1)
    with pytest.raises(ReportedError):
        world.move()
    (failure,) = results(world).root.glob("failures/upload.*")
    assert "other" in failure.read_text()
    assert "same" not in failure.read_text()
    world.move()
    assert stored(s3, bucket, "x/other") == OLD


def foreign(s3: S3Server, bucket: str, key: str, data: bytes, how: str, metadata: Any) -> None:
    """An object that S3 tells something of."""
    there = {"Bucket": bucket, "Key": key, "Body": data, **metadata}
    match how:
        case "MD5 ETag":
            client(s3).put_object(**there)
        case "SHA256" | "CRC64NVME" | "CRC32":
            s3.client().put_object(**there, ChecksumAlgorithm=how)


KINDS = ("MD5 ETag", "SHA256", "CRC64NVME", "CRC32")


def test_D4_what_s3_vouches_for_wins_over_a_claim(
    world: Verifying, s3: S3Server, bucket: str
) -> None:
    for kind in KINDS:
        for name, data, said in (("false", NEW, OLD), ("fine", OLD, NEW)):
            (world.data / f"{kind} {name}").write_bytes(OLD)
            foreign(s3, bucket, f"x/{kind} {name}", data, kind, claim(said))
    world.move()
    found = results(world).all("diff")
    for kind in KINDS:
        row = found[f"{kind} false"]
        assert (row["status"], row["action"]) == ("*", "move")
        assert f"its source-sha256 is that of the file, but its {kind} is not" in row["reason"]
        row = found[f"{kind} fine"]
        assert (row["status"], row["action"]) == ("=", "keep")
        assert "its source-sha256 is wrong" in row["reason"]
        assert stored(s3, bucket, f"x/{kind} false") == OLD


def test_D4_a_download_is_held_against_what_s3_vouches_for(
    world: Verifying, s3: S3Server, bucket: str
) -> None:
    for kind in KINDS:
        for name in ("absent", "there"):
            foreign(s3, bucket, f"x/{kind} {name}", NEW, kind, claim(OLD))
        (world.data / f"{kind} there").write_bytes(OLD)  # which the claim says it is
    put_file(client(s3), bucket, "x/parts", LARGE["new"], ODD_PARTS, **claim(OLD))
    world.move("download")
    names = ("parts", *(f"{kind} {name}" for kind in KINDS for name in ("absent", "there")))
    assert {p for p, sign in statuses(world).items() if sign == "*move"} == {
        f"{kind} there" for kind in KINDS
    }
    for name in names:
        data = LARGE["new"] if name == "parts" else NEW
        assert (world.data / name).read_bytes() == data
        assert results(world).all("markers")[name]["sha256"] == sha256(data)


def untold(bucket: str, key: str, data: bytes, s3: S3Server, **metadata: Any) -> None:
    """An object in parts whose ETag is no MD5."""
    put_file(client(s3), bucket, key, data, ODD_PARTS, **KMS, **metadata)


def of_parts(data: bytes) -> str:
    """The composite SHA-256 of an object that was put by ``ODD_PARTS``."""
    cut = ODD_PARTS.multipart_chunksize
    pieces = (data[:cut], data[cut:])
    digest = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces)).digest()
    return f"{b64(digest)}-2"


FOREIGN = ("usual parts", "odd parts", "CRC64NVME", "composite SHA-256", "md5chksum")


def put_foreign(s3: S3Server, proxy: Proxy, bucket: str, content: dict[str, bytes]) -> None:
    """Objects of other tools, in parts. What the test server does not compute is put into the
    answers of S3 by the proxy."""
    put_file(client(s3), bucket, "x/usual parts", content["usual parts"], PARTS)
    put_file(client(s3), bucket, "x/odd parts", content["odd parts"], ODD_PARTS)
    crc = crt.crc64nvme(content["CRC64NVME"]).to_bytes(8, "big")
    told = {
        "CRC64NVME": {
            "x-amz-checksum-crc64nvme": b64(crc),
            "x-amz-checksum-type": "FULL_OBJECT",
        },
        "composite SHA-256": {
            "x-amz-checksum-sha256": of_parts(content["composite SHA-256"]),
            "x-amz-checksum-type": "COMPOSITE",
        },
    }
    for name, headers in told.items():
        untold(bucket, f"x/{name}", content[name], s3)
        for method in ("HEAD", "GET"):
            proxy.fault(SetHeaders(headers), method=method, key=f"x/{name}")
    md5 = hashlib.md5(content["md5chksum"]).digest()
    untold(bucket, "x/md5chksum", content["md5chksum"], s3, Metadata={"md5chksum": b64(md5)})


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_D5_foreign_objects_are_compared(
    direction: str, world: Verifying, s3: S3Server, proxy: Proxy, bucket: str
) -> None:
    """By all that S3 tells of them, and so they do not move again."""
    content = {name: os.urandom(MIB) * 6 + name.encode() for name in FOREIGN}
    put_foreign(s3, proxy, bucket, content)
    for name, data in content.items():
        (world.data / name).write_bytes(data)
    etags = {k: s3.client().head_object(Bucket=bucket, Key=f"x/{k}")["ETag"] for k in content}
    world.move(direction)
    assert statuses(world) == dict.fromkeys(FOREIGN, "=keep")
    markers = results(world).all("markers")
    for name, data in content.items():
        assert markers[name]["sha256"] == sha256(data)
        assert f'"{markers[name]["etag"]}"' == etags[name]

    # One byte of each file is another: all of them are told to be.
    shutil.rmtree(world.results.parent)
    for name, data in content.items():
        (world.data / name).write_bytes(data[:-1] + b"?")
    world.move(direction, publish=False)
    assert statuses(world) == dict.fromkeys(FOREIGN, "*move")


def test_A2_what_another_transfer_has_replaced_is_told(
    world: Verifying, s3: S3Server, bucket: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two configurations, each with results of its own, at one key."""
    (world.folder / "other").mkdir()
    other = Verifying(world.folder / "other", proxy, bucket, monkeypatch)
    theirs = {"same size": NEW, "longer": NEW * 2, "equal": OLD}
    for name, data in theirs.items():
        (world.data / name).write_bytes(OLD)
        (other.data / name).write_bytes(data)
    world.move()
    other.move()
    for mine, there in ((world, other), (other, world)):
        signs = mine.signs("listing")
        assert signs == {"equal": "= both"} | dict.fromkeys(("same size", "longer"), CHANGED)
        mine.move()
        found = results(mine).all("diff")
        for name in ("same size", "longer"):
            assert found[name]["status"] == "*"
            assert "was written again since it was proven" in found[name]["reason"]
            assert stored(s3, bucket, f"x/{name}") == (mine.data / name).read_bytes()
            assert there.signs("listing")[name] == CHANGED  # never proven by both
