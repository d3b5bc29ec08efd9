"""Listings that do not do as S3 does: no start-after, a token that comes again (B5, B6, D2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.jobs import ENGINES, Use
from support.objects import stored
from support.proxy import (
    Answer,
    Call,
    Fault,
    Page,
    Proxy,
    Request,
    Rewrite,
    access_denied,
    short_pages,
)
from support.server import S3Server
from support.transfers import transfer_of
from support.uploads import Uploads
from waybill.model.errors import WaybillError
from waybill.s3 import listing
from waybill.s3.bucket import Bucket


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
    job.leave_open(proxy, large)
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
