"""Stores and networks that do not do as S3 does, and buckets that are not the user's own. By both
engines where bytes go."""

from __future__ import annotations

import dataclasses
import email.utils
import hashlib
import logging
import random
import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions as be
import pytest

from support.engines import begin, put, without_pauses
from support.objects import keys, stored
from support.proxy import (
    Answer,
    Call,
    CheckSha256,
    DropHeader,
    Fault,
    FlipByte,
    Page,
    Proxy,
    Request,
    Rewrite,
    SetHeaders,
    access_denied,
    short_pages,
)
from support.server import S3Server, env_for
from support.tls import Authority, TlsFront
from support.transfers import transfer_of
from support.uploads import Uploads
from support.workflow import Workflow
from waybill.config import read
from waybill.model.difference import MOVE, NEW, Difference
from waybill.model.errors import ConfigError, WaybillError
from waybill.model.target_names import Limits, refusals
from waybill.model.transfer import Transfer
from waybill.move import mover
from waybill.move.compare import Comparer
from waybill.move.download import Downloader
from waybill.move.mover import Outcome
from waybill.move.publish import publish
from waybill.results.journal import Journal, Record
from waybill.s3 import listing, parts
from waybill.s3.bucket import Bucket
from waybill.s3.client import make_client
from waybill.s3.engine.choose import make_engine
from waybill.s3.engine.native import NativeEngine
from waybill.s3.errors import explain
from waybill.s3.retries import MAX_ATTEMPTS, MOST_SECONDS, retry_after

ENGINES = pytest.mark.parametrize("engine", ["boto3", "native"])
MIB = 1 << 20
CHECKSUM_HEADERS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")

Use = Callable[[str], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, s3: S3Server, bucket: str) -> Iterator[Use]:
    """Have jobs of this process ask the server at an address, and not wait between attempts."""
    without_pauses(monkeypatch)

    def use(url: str) -> None:
        nowhere = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,amazonaws.com,s3.test")
        for name, value in (env_for(url) | nowhere).items():
            monkeypatch.setenv(name, value)

    yield use
    client = s3.client()
    for key in keys(s3, bucket):
        client.delete_object(Bucket=bucket, Key=key)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Files above 6 MiB go in parts of 5 MiB; the bytes of one that has two parts."""
    monkeypatch.setattr(mover, "MULTIPART_ABOVE_BYTES", 6 * MIB)
    monkeypatch.setattr(parts, "SMALLEST_PART_BYTES", 5 * MIB)
    return random.Random(5).randbytes(7 * MIB)


def there(s3: S3Server, bucket: str) -> set[str]:
    return {key.removeprefix("data/") for key in keys(s3, bucket)}


def fetch(
    folder: Path, bucket: str, s3: S3Server, *paths: str, etags: str = "", **settings: Any
) -> Outcome:
    """A download job; the objects were listed with their ETags, or all with one."""
    client = s3.client()
    results = folder.parent / "results"
    transfer = transfer_of(folder, bucket, "data/", down=True, results=results, **settings)
    items = []
    for path in paths:
        head = client.head_object(Bucket=bucket, Key=f"data/{path}")
        etag = etags or head["ETag"].strip('"')
        items.append(Difference(NEW, MOVE, path, head["ContentLength"], 0, 0, "", etag, "0", ""))
    folder.mkdir(exist_ok=True)
    with Journal(folder.parent / "journal.jsonl", "run") as journal:
        return Downloader(transfer, journal, Record(), "run", False).run(items)


# B4: a store that refuses the checksum headers of S3


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
    broken = proxy.fault(Answer(403, "AccessDenied", "no"), op="CompleteMultipartUpload")
    assert job.fail(large).keys() == {"large"}
    proxy.faults.remove(broken)
    mixed = Answer(400, "InvalidRequest", "The upload was created using the sha256 checksum type.")
    proxy.fault(mixed, op="CompleteMultipartUpload", times=1)
    assert job.fail(large) == {}
    assert stored(s3, bucket, "data/large") == small_parts
    assert job.record.uploads == {}
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")


# B5: a store that refuses start-after


class NoStart(Fault):
    def take(self, request: Request) -> bool:
        return "start-after" in request.query and super().take(request)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(501, "NotImplemented", "This bucket does not support start-after."),
        Answer(400, "InvalidArgument", "start-after is not supported"),
        Answer(405, "MethodNotAllowed", "no"),
        Page(501, message="Not implemented here"),
    ],
    ids=lambda answer: answer.code or "page",
)
def test_B5_a_store_without_start_after_is_listed_page_by_page(
    refusal: Answer,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(proxy.endpoint_url)
    monkeypatch.setattr(listing, "RANGE_NAMES", 10)
    names = [f"{i:03}" for i in range(60)]
    for name in names:
        s3.client().put_object(Bucket=bucket, Key=f"data/{name}", Body=b"")
    control = Bucket(transfer_of(tmp_path, bucket, "data/"))
    proxy.fault(short_pages(17), op="ListObjectsV2")
    proxy.faults.append(NoStart(refusal, op="ListObjectsV2"))
    assert [entry.path for entry in control.list_prefix(known=names)] == names
    unordered = Rewrite(
        lambda page: re.sub(rb"<Contents>.*</Contents>", _backwards, page, flags=re.S)
    )
    proxy.fault(unordered, op="ListObjectsV2")  # as directory buckets do
    found = [entry.path for entry in control.list_prefix(known=names)]
    assert sorted(found) == names != found


def _backwards(contents: re.Match[bytes]) -> bytes:
    return b"".join(reversed(re.findall(rb"<Contents>.*?</Contents>", contents[0], re.S)))


def test_B5_what_is_denied_is_not_taken_for_a_refusal(
    use: Use, proxy: Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(proxy.endpoint_url)
    monkeypatch.setattr(listing, "RANGE_NAMES", 10)
    proxy.faults.append(NoStart(access_denied(), op="ListObjectsV2"))
    control = Bucket(transfer_of(tmp_path, bucket, "data/"))
    with pytest.raises(WaybillError, match="access denied to ListObjectsV2"):
        list(control.list_prefix(known=[f"{i:03}" for i in range(60)]))


# B6, D2: a listing that repeats its token


def test_B6_a_listing_that_repeats_its_token_ends_by_name(
    use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    for i in range(5):
        s3.client().put_object(Bucket=bucket, Key=f"data/{i}", Body=b"")
    proxy.fault(short_pages(2), op="ListObjectsV2")
    token = Rewrite(
        lambda page: re.sub(
            rb"(?s)<Contents>.*</Contents>|(<NextContinuationToken>)[^<]*",
            lambda found: found[1] + b"t" if found[1] else b"",
            page,
        )
    )
    proxy.fault(token, op="ListObjectsV2")

    def from_the_first(request: Request) -> None:  # the server does not know this token
        request.target = re.sub("&continuation-token=[^&]*", "", request.target)

    proxy.fault(Call(from_the_first), op="ListObjectsV2")
    control = Bucket(transfer_of(tmp_path, bucket, "data/"))
    with pytest.raises(WaybillError, match="continuation token twice") as found:
        list(control.list_prefix())
    assert f"s3://{bucket}/data/" in str(found.value)
    assert proxy.endpoint_url in str(found.value)
    assert proxy.count(op="ListObjectsV2") == 2


def test_D2_a_listing_that_begins_again_ends_by_name(
    use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    """As of LocalStack 4.7, which does not find again where it was among names with a blank."""
    use(proxy.endpoint_url)
    for i in range(5):
        s3.client().put_object(Bucket=bucket, Key=f"data/a b {i}", Body=b"")
    proxy.fault(short_pages(2), op="ListObjectsV2")

    def from_the_first(request: Request) -> None:
        request.target = re.sub("&continuation-token=[^&]*", "", request.target)

    proxy.fault(Call(from_the_first), op="ListObjectsV2")
    control = Bucket(transfer_of(tmp_path, bucket, "data/"))
    with pytest.raises(WaybillError, match="the listing is not complete") as found:
        list(control.list_prefix())
    assert f"it tells s3://{bucket}/data/a b 0 twice" in str(found.value)
    assert proxy.count(op="ListObjectsV2") == 2


@ENGINES
def test_B6_parts_that_are_listed_without_an_end_are_an_error_once(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine)
    large, small = job.item("large", small_parts), job.item("small", b"1")
    broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
    assert job.fail(large).keys() == {"large"}
    proxy.faults.remove(broken)
    more = b"<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"
    endless = Rewrite(
        lambda page: re.sub(rb"(?s)<IsTruncated>.*?</IsTruncated>", more, page).replace(
            b"<NextPartNumberMarker>2</NextPartNumberMarker>", b""
        )
    )
    proxy.fault(endless, op="ListParts")
    failed = job.fail(large, small)
    assert failed.keys() == {"large"}
    assert f"s3://{bucket}/data/large" in failed["large"]
    assert proxy.endpoint_url in failed["large"]
    assert "does not list parts as S3 does" in failed["large"]
    assert proxy.count(op="ListParts") == 2
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert job.fail(large) == {}  # from its beginning, and nothing is listed
    assert proxy.count(op="ListParts") == 2
    assert stored(s3, bucket, "data/large") == small_parts


# B8: certificates of an authority of one's own

LOGIN = "aws_access_key_id = AKID\naws_secret_access_key = secret\n"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Authority(tmp_path)


@ENGINES
@pytest.mark.parametrize("how", ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "profile"])
def test_B8_both_engines_trust_whom_botocore_trusts(
    engine: str,
    how: str,
    authority: Authority,
    use: Use,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with TlsFront(s3.endpoint_url, authority) as front:
        use(front.url)
        settings: dict[str, Any] = {"engine": engine}
        transfer = transfer_of(tmp_path, bucket, "data/", timeout=10, **settings)
        with pytest.raises(WaybillError, match="is not trusted"):
            list(Bucket(transfer).list_prefix())
        with make(transfer) as stranger, pytest.raises(be.SSLError):
            put(stranger, b"x", key="data/never")
        if how == "profile":
            config = tmp_path / "aws"
            config.write_text(f"[profile lab]\nca_bundle = {authority.file}\n{LOGIN}")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
            settings["profile"] = "lab"
        else:
            monkeypatch.setenv(how, str(authority.file))
        transfer = transfer_of(tmp_path, bucket, "data/", timeout=10, **settings)
        with make(transfer) as friend:
            assert isinstance(friend, NativeEngine) == (engine == "native")
            etag = put(friend, b"carried safely", key="data/a").etag
            assert friend.get_object("data/a", etag, 14).result(60)[1] == b"carried safely"
        assert [entry.path for entry in Bucket(transfer).list_prefix()] == ["a"]


@ENGINES
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_B8_certificates_that_cannot_be_read_are_named(
    engine: str,
    content: str | None,
    authority: Authority,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("https://127.0.0.1:9")
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    transfer = transfer_of(tmp_path, "data", engine=engine, timeout=2)
    with pytest.raises(WaybillError) as found, make(transfer) as engine_made:
        try:
            put(engine_made, b"x")
        except be.BotoCoreError as error:
            raise explain(error, transfer) from None
    if content is None:
        assert str(bundle) in str(found.value)
        assert "REQUESTS_CA_BUNDLE" in str(found.value)
        assert found.value.exit_code == 2
    assert "\n" not in str(found.value)


class make:
    """An engine that is closed at the end."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer

    def __enter__(self) -> Any:
        self._engine = make_engine(self._transfer, accelerate=False)
        return self._engine

    def __exit__(self, *_: object) -> None:
        self._engine.close()


# B10: ETags of 32 hex digits that are no MD5s


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


# B11: characters that XML cannot hold


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
    broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
    failed = job.fail(large)
    assert failed.keys() == {name}
    assert "access denied to CompleteMultipartUpload" in failed[name]
    assert len(job.record.uploads) == proxy.count(op="CreateMultipartUpload") == 1
    proxy.faults.remove(broken)
    proxy.clear()
    assert job.fail(large) == {}  # resumed
    assert proxy.count(op="ListParts") == 1
    assert proxy.count(op="UploadPart") == proxy.count(op="CreateMultipartUpload") == 0
    assert stored(s3, bucket, f"data/{name}") == small_parts
    assert not s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads")
    other = job.item(name, small_parts + b"1")  # begun, and then changed: aborted
    broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
    assert job.fail(other).keys() == {name}
    proxy.faults.remove(broken)
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


# C6: buckets that are not one's own


@ENGINES
def test_C6_a_public_bucket_needs_no_keys(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(proxy.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    files = {"a": b"1", "large": random.Random(1).randbytes(9 * MIB)}
    for path, data in files.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data, ACL="public-read")
    transfer = transfer_of(tmp_path, bucket, "data/", anonymous=True)
    assert {entry.path for entry in Bucket(transfer).list_prefix()} == files.keys()
    assert not Bucket(transfer).accelerates()
    outcome = fetch(tmp_path / "in", bucket, s3, *files, engine=engine, anonymous=True)
    assert outcome.failed == []
    for path, data in files.items():
        assert (tmp_path / "in" / path).read_bytes() == data
    job = Uploads(tmp_path, bucket, engine=engine, anonymous=True)
    assert job.fail(job.item("b", b"2")) == {}
    assert stored(s3, bucket, "data/b") == b"2"
    signs = {"authorization", "x-amz-security-token"}
    assert not [r.op for r in proxy.requests if signs & r.headers.keys()]
    with make(transfer_of(tmp_path, bucket, engine=engine, anonymous=True)) as made:
        assert isinstance(made, NativeEngine) == (engine == "native")


def test_C6_a_whole_run_without_keys(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    workflow = Workflow(tmp_path, proxy)
    name = "data/X:1-2.vcf"
    s3.client().put_object(Bucket=bucket, Key=name, Body=b"1", ACL="public-read")
    workflow.configure(
        t={
            "source": f"s3://{bucket}/data",
            "destination": str(tmp_path / "public"),
            "endpoint_url": proxy.endpoint_url,
            "anonymous": True,
        }
    )
    empty = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    workflow.run(code=0, env=empty)
    assert (tmp_path / "public" / "X:1-2.vcf").read_bytes() == b"1"
    assert not [r for r in proxy.requests if "authorization" in r.headers]


@ENGINES
def test_C6_a_canned_acl_is_sent_with_each_new_object(
    engine: str,
    use: Use,
    proxy: Proxy,
    bucket: str,
    tmp_path: Path,
    small_parts: bytes,
) -> None:
    use(proxy.endpoint_url)
    job = Uploads(tmp_path, bucket, engine=engine, acl="bucket-owner-full-control")
    assert job.fail(job.item("a", b"1"), job.item("large", small_parts)) == {}
    manifest = tmp_path / "m.json"
    manifest.write_text('{\n"generated_at": "2026-01-02T03:04:05.678Z",\n  "files": [\n  ]\n}\n')
    publish(dataclasses.replace(job.transfer, publish_prefix="data/manifests/"), manifest)
    new = [r for r in proxy.requests if r.op in ("PutObject", "CreateMultipartUpload")]
    assert len(new) == 3
    assert {r.headers.get("x-amz-acl") for r in new} == {"bucket-owner-full-control"}
    others = [r for r in proxy.requests if r not in new]
    assert not [r.op for r in others if "x-amz-acl" in r.headers]


def configured(tmp_path: Path, **settings: Any) -> Transfer:
    """The transfer of a configuration."""
    import json

    given = {"source": str(tmp_path), "destination": "s3://bucket/p/", **settings}
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    (tmp_path / "c.toml").write_text("\n".join(["[transfers.t]", *lines]))
    return read.load(tmp_path / "c.toml")["t"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"acl": "bucket-owner"}, 'did you mean "bucket-owner-read"'),
        ({"acl": "log-delivery-write"}, "is not allowed"),
        ({"anonymous": "yes"}, "true or false"),
        ({"anonymous": True, "requester_pays": True}, "anonymous: cannot be true"),
        ({"destination": "s3://Under_score/p"}, "is not the name of a bucket"),
        ({"destination": "s3://arn:aws:s3:eu-west-1:12:accesspoint/x/p"}, "is not the ARN"),
        ({"destination": "s3://arn:aws:sqs:eu-west-1:123456789012:q/p"}, "is not the ARN"),
        ({"destination": "s3://a/b:c@d/p", "endpoint_url": "http://h"}, "2 to 255"),
        (
            {"destination": f"s3://{'arn:aws:s3:eu-west-1:123456789012:accesspoint/x'}/p",
             "addressing_style": "path"},
            'addressing_style: cannot be "path"',
        ),
        (
            {"destination": f"s3://{'arn:aws:s3:eu-west-1:123456789012:accesspoint/x'}/p",
             "accelerate": True},
            "accelerate: cannot be true for an access point",
        ),
    ],
)  # fmt: skip
def test_C6_what_cannot_be_is_refused(
    settings: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(ConfigError, match=re.escape(says)):
        configured(tmp_path, **settings)


@pytest.mark.parametrize("name", ["Under_Score.Data", "ab", "UPPER"])
def test_C6_other_stores_have_other_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    there = configured(tmp_path, destination=f"s3://{name}/p", endpoint_url="http://store:9000")
    assert (there.bucket, there.prefix) == (name, "p/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    assert configured(tmp_path, destination=f"s3://{name}/p").bucket == name


@ENGINES
def test_C6_a_bucket_with_capitals_and_underscores_is_used(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    name = s3.make_bucket("Waybill_Field.Data")
    job = Uploads(tmp_path, name, engine=engine)
    try:
        assert job.fail(job.item("a", b"1")) == {}
        assert stored(s3, name, "data/a") == b"1"
        assert [e.path for e in Bucket(job.transfer).list_prefix()] == ["a"]
        assert fetch(tmp_path / "in", name, s3, "a", engine=engine).failed == []
    finally:
        s3.client().delete_object(Bucket=name, Key="data/a")
        s3.client().delete_bucket(Bucket=name)


ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint"


@pytest.mark.parametrize(
    ("place", "name", "host"),
    [
        (
            f"{ARN}/mine/p",
            f"{ARN}:mine",
            "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
        ),
        (f"{ARN}:mine", f"{ARN}:mine", "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"),
        (
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1/accesspoint/mine/p",
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost:op-1:accesspoint:mine",
            "mine-123456789012.op-1.s3-outposts.eu-west-1.amazonaws.com",
        ),
        (
            "arn:aws:s3::123456789012:accesspoint/m.mrap/p",
            "arn:aws:s3::123456789012:accesspoint:m.mrap",
            "m.mrap.accesspoint.s3-global.amazonaws.com",
        ),
    ],
    ids=["slash", "colon", "outpost", "several regions"],
)
def test_C6_the_arn_of_an_access_point_names_a_bucket(
    place: str,
    name: str,
    host: str,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests go where botocore sends them; the region is that of the ARN."""
    use("")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    transfer = configured(tmp_path, destination=f"s3://{place}", publish="manifests")
    assert transfer.bucket == name
    assert transfer.prefix in ("p/", "")
    sent: list[str] = []
    client = make_client(transfer)

    def stop(request: Any, **_: object) -> None:
        sent.append(request.url)
        raise be.EndpointConnectionError(endpoint_url=request.url)

    client.meta.events.register_first("before-send.s3.ListObjectsV2", stop)
    with pytest.raises(be.EndpointConnectionError):
        client.list_objects_v2(Bucket=transfer.bucket, Prefix=transfer.prefix)
    assert host in sent[0]
    assert read.load(tmp_path / "c.toml")["t"].url.startswith(f"s3://{name}/")
    if "outpost" not in place and ".mrap" not in place:
        with make(transfer) as engine:
            assert isinstance(engine, NativeEngine)
            assert (engine._to.host, engine._to.path, engine._to.region) == (host, "/", "eu-west-1")


@ENGINES
def test_C6_an_access_point_is_used(
    engine: str,
    use: Use,
    proxy: Proxy,
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host leads to the server here, which knows it as a bucket."""
    use(proxy.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://s3.test:{proxy.port}")
    host = f"mine-123456789012.s3.test:{proxy.port}"
    real = socket.getaddrinfo

    def to_here(name: Any, *more: Any, **options: Any) -> Any:
        here = "127.0.0.1" if str(name).endswith("s3.test") else name
        return real(here, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_here)
    hosts: set[str] = set()

    def lead(request: Request) -> None:
        hosts.add(request.headers["host"])
        request.target = f"/{bucket}{request.target}"

    proxy.fault(Call(lead))
    proxy.fault(DropHeader("host"))
    job = Uploads(tmp_path, f"{ARN}:mine", engine=engine)
    assert job.fail(job.item("a", b"1")) == {}
    assert stored(s3, bucket, "data/a") == b"1"
    assert [e.path for e in Bucket(job.transfer).list_prefix()] == ["a"]
    assert hosts == {host}


@ENGINES
@pytest.mark.parametrize(
    ("profile", "given", "path"),
    [("path", None, "/my-data/"), ("virtual", "path", "/my-data/"), ("path", "virtual", "/"),
     (None, None, "/")],
)  # fmt: skip
def test_C6_the_addressing_style_of_the_profile_is_obeyed(
    engine: str,
    profile: str | None,
    given: str | None,
    path: str,
    use: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use("")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    config = tmp_path / "aws"
    style = f"s3 =\n  addressing_style = {profile}\n" if profile else ""
    config.write_text(f"[profile lab]\nregion = eu-west-1\n{LOGIN}{style}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    more = {"addressing_style": given} if given else {}
    transfer = configured(tmp_path, destination="s3://my-data/p", profile="lab", **more)
    transfer = dataclasses.replace(transfer, engine=engine)
    with make(transfer) as made:
        sent: list[str] = []

        def stop(request: Any, **_: object) -> None:
            sent.append(request.url)
            raise be.ClientError({}, "HeadObject")

        made.client.meta.events.register_first("before-send.s3.HeadObject", stop)
        with pytest.raises(be.ClientError):
            made.client.head_object(Bucket="my-data", Key="key")
        assert sent[0].endswith(f".amazonaws.com{path}key")
        if isinstance(made, NativeEngine):
            assert made._to.path == path


@ENGINES
def test_C6_a_name_with_a_colon_is_no_drive(
    engine: str, use: Use, proxy: Proxy, s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    names = ["X:1-2.vcf", "chr/X:1-2.vcf", "C:", "x:"]
    for name in names:
        s3.client().put_object(Bucket=bucket, Key=f"data/{name}", Body=name.encode())
    where = {"root": str(tmp_path), "files": (), "folders": (), "limits": Limits()}
    assert refusals(names, **where) == {}
    assert refusals(["C:/Windows", "C:\\Windows"], **where).keys() == {"C:/Windows", "C:\\Windows"}
    assert fetch(tmp_path / "in", bucket, s3, *names, engine=engine).failed == []
    for name in names:
        assert (tmp_path / "in" / name).read_bytes() == name.encode()


# E9: a user who may not list parts


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
    broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
    assert job.fail(*items).keys() == {"one", "two"}
    proxy.faults.remove(broken)
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
    broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
    assert job.fail(large).keys() == {"large"}
    proxy.faults.remove(broken)
    for op in ("ListParts", "AbortMultipartUpload"):
        proxy.fault(access_denied(), op=op)
    with caplog.at_level(logging.WARNING):
        assert job.fail(large) == {}
    assert stored(s3, bucket, "data/large") == small_parts
    assert "AbortMultipartUpload is refused" in caplog.text
    assert job.record.uploads == {}


# E10: pages in the place of errors

XHTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1><p>proxy-7</p></body></html>"
PAGES = {
    "XML": lambda text: Page(0, message=XHTML.format(text)),
    "HTML": lambda text: Page(0, message=f"<html><br>{text} &amp; proxy-7"),
    "JSON": lambda text: Page(
        0, message=f'{{"error": "{text} proxy-7"}}', headers={"Content-Type": "application/json"}
    ),
}


@ENGINES
@pytest.mark.parametrize("form", PAGES)
@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 429, 500, 502, 503, 504, 520])
def test_E10_a_page_is_told_by_its_status_and_first_words(
    engine: str,
    form: str,
    status: int,
    use: Use,
    proxy: Proxy,
    bucket: str,
    tmp_path: Path,
) -> None:
    use(proxy.endpoint_url)
    answer = dataclasses.replace(PAGES[form]("Gateway says no"), status=status)
    proxy.fault(answer, op="PutObject")
    job = Uploads(tmp_path, bucket, engine=engine)
    told = job.fail(job.item("a", b"1"))["a"]
    assert f"s3://{bucket}/data/a" in told
    assert f"status {status}" in told
    assert "Gateway says no" in told and "proxy-7" in told
    assert "someone else" not in told and "access denied" not in told
    again = status in (408, 429, 500, 502, 503, 504, 520)
    assert proxy.count(op="PutObject") == (MAX_ATTEMPTS if again else 1)
    assert {request.op for request in proxy.requests} == {"PutObject"}


@ENGINES
@pytest.mark.parametrize("status", [404, 408, 418, 429, 500, 502, 503])
def test_E10_an_empty_answer_is_told_by_its_status(
    engine: str, status: int, use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    proxy.fault(Page(status, message=""), op="PutObject")
    job = Uploads(tmp_path, bucket, engine=engine)
    told = job.fail(job.item("a", b"1"))["a"]
    assert str(status) in told
    assert "someone else" not in told
    assert not told.endswith((" ", "with", "with ", ":"))


@ENGINES
@pytest.mark.parametrize(
    "document",
    [
        '<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>EntityTooLarge</Code>'
        "<Message>too much</Message></Error>",
        "<ErrorResponse><Error><Code>EntityTooLarge</Code><Message>too much</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>",
    ],
)
def test_E10_an_error_of_s3_in_another_dress_is_read(
    engine: str, document: str, use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    proxy.fault(Page(400, message=document), op="PutObject")
    job = Uploads(tmp_path, bucket, engine=engine)
    assert "failed with EntityTooLarge: too much" in job.fail(job.item("a", b"1"))["a"]


def test_E10_a_page_in_the_place_of_a_listing_names_the_endpoint(
    use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    proxy.fault(Page(), op="ListObjectsV2")
    with pytest.raises(WaybillError, match="no S3 listing; check `endpoint_url`"):
        list(Bucket(transfer_of(tmp_path, bucket)).list_prefix())


@ENGINES
@pytest.mark.parametrize("status", [429, 503, 500, 408])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_E10_retry_after_is_obeyed(
    engine: str, status: int, form: str, use: Use, proxy: Proxy, bucket: str, tmp_path: Path
) -> None:
    use(proxy.endpoint_url)
    now = time.time()
    asked = "1" if form == "seconds" else email.utils.formatdate(now + 2, usegmt=True)
    told = {"Retry-After": asked, "Date": email.utils.formatdate(now, usegmt=True)}
    proxy.fault(Page(status, headers=told), op="PutObject", times=1)
    with make(transfer_of(tmp_path, bucket, engine=engine)) as made:
        assert begin(made, "a", b"1").result(60)
    first, second = (request.time for request in proxy.select(op="PutObject"))
    assert second - first >= (0.99 if form == "seconds" else 1.9)


def test_E10_a_listing_obeys_it_too(use: Use, proxy: Proxy, bucket: str, tmp_path: Path) -> None:
    use(proxy.endpoint_url)
    proxy.fault(Page(429, headers={"Retry-After": "1"}), op="ListObjectsV2", times=1)
    assert list(Bucket(transfer_of(tmp_path, bucket)).list_prefix()) == []
    first, second = (request.time for request in proxy.select(op="ListObjectsV2"))
    assert second - first >= 0.99


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7), ("0", 0), ("86400", MOST_SECONDS), ("9" * 400, MOST_SECONDS), ("-5", 0),
        ("soon", 0), ("", 0), ("1.5", 0), ("²", 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("Sun, 06 Nov 2044 08:49:37 GMT", MOST_SECONDS),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9), ("Thu, 01 Jan 2026 00:00:09", 9),
        ("Thu, 99 Jan 99999 00:00:09 GMT", 0),
    ],
)  # fmt: skip
def test_E10_retry_after_is_bounded(asked: str, seconds: float) -> None:
    headers = {"retry-after": asked, "date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    metadata = {"HTTPStatusCode": 503, "HTTPHeaders": headers}
    error = be.ClientError(
        {"Error": {"Code": "SlowDown"}, "ResponseMetadata": metadata}, "PutObject"
    )
    assert retry_after(error) == seconds
    assert retry_after(be.EndpointConnectionError(endpoint_url="http://h")) == 0
