"""E10: pages in the place of errors, and Retry-After."""

from __future__ import annotations

import dataclasses
import email.utils
import time
from pathlib import Path

import botocore.exceptions as be
import pytest

from support.engines import begin
from support.jobs import ENGINES, Use, make
from support.proxy import (
    Page,
    Proxy,
)
from support.transfers import transfer_of
from support.uploads import Uploads
from waybill.model.errors import WaybillError
from waybill.s3.bucket import Bucket
from waybill.s3.retries import MAX_ATTEMPTS, MOST_SECONDS, retry_after

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
