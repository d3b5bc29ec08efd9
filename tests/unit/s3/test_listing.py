"""The listing, against the server and against pages as S3 documents them."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from support.proxy import Answer, Fault, short_pages
from support.transfers import transfer_of
from waybill.model.entries import RemoteEntry
from waybill.model.errors import WaybillError
from waybill.model.times import utc
from waybill.results.published import is_published, manifest_name
from waybill.s3 import listing
from waybill.s3.bucket import Bucket
from waybill.s3.listing import SIDE_BY_SIDE, parse_listing

PAGE = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<Prefix>p/</Prefix><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>
<EncodingType>url</EncodingType>
<Contents><Key>p/a%0Ab+c%2B.txt</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>
<ETag>&quot;0cc1&quot;</ETag><Size>7</Size><Owner><ID>x</ID><Key>not this</Key></Owner>
<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"""


def parsed(body, status=200):
    response, found = {"status_code": status, "body": body}, {}
    parse_listing(response, found)
    return found.get("Waybill"), response["body"]


def test_a_page_as_s3_sends_it():
    (contents, tail), _ = parsed(PAGE)
    assert contents == [
        {
            "Key": "p/a%0Ab+c%2B.txt",
            "LastModified": "2026-01-02T03:04:05.678Z",
            "ETag": '"0cc1"',
            "Size": "7",
        }
    ]
    assert tail["IsTruncated"] == "false"


@pytest.mark.parametrize("body", [PAGE[:-30], b"", b"<html>login</html>"])
def test_of_what_is_no_page_nothing_is_left(body):
    assert parsed(body) == (None, b"")


def test_an_error_is_left_to_botocore():
    assert parsed(PAGE, status=500) == (None, PAGE)
    error = b"<Error><Code>InternalError</Code></Error>"
    assert parsed(error) == (None, error)


@pytest.fixture
def control_of(proxy, tmp_path, monkeypatch):
    """Makes the reader of a bucket behind the proxy."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    return lambda bucket: Bucket(transfer_of(tmp_path, bucket, "p/"))


@pytest.fixture
def control(control_of, bucket):
    return control_of(bucket)


NAMES = ["a b", "a+b", "a%41", "\t", "é", "e\u0301", "x/y", "\x01", "&<>'\"", "\u2028"]


def test_every_object_of_the_prefix_is_listed_once(control, s3, proxy, bucket):
    client = s3.client()
    for name in NAMES:
        client.put_object(Bucket=bucket, Key="p/" + name, Body=name.encode())
    client.put_object(Bucket=bucket, Key="pp/other", Body=b"")
    entries = {entry.path: entry for entry in control.list_prefix()}
    assert set(entries) == set(NAMES)
    head = client.head_object(Bucket=bucket, Key="p/é")
    assert entries["é"].size == 2
    assert f'"{entries["é"].etag}"' == head["ETag"]
    assert entries["é"].mtime_ns // 10**9 == int(head["LastModified"].timestamp())
    assert proxy.count() == 1


PAGE_KEYS = 50


def test_pages_are_followed(control, s3, proxy, bucket):
    proxy.fault(short_pages(PAGE_KEYS), op="ListObjectsV2")
    client = s3.client()
    for i in range(PAGE_KEYS + 5):
        client.put_object(Bucket=bucket, Key=f"p/{i:04}", Body=b"")
    assert len(list(control.list_prefix())) == PAGE_KEYS + 5
    assert proxy.count(op="ListObjectsV2") == 2


def test_a_page_that_fails_for_good_is_no_listing(control, s3, proxy, bucket):
    proxy.fault(short_pages(PAGE_KEYS), op="ListObjectsV2")
    client = s3.client()
    for i in range(PAGE_KEYS + 5):
        client.put_object(Bucket=bucket, Key=f"p/{i:04}", Body=b"")
    proxy.faults.append(Fault(Answer(403, "AccessDenied", "no"), op="ListObjectsV2", after=1))
    with pytest.raises(WaybillError, match="access denied to ListObjectsV2"):
        list(control.list_prefix())


def test_an_object_that_may_not_be_looked_at_is_not_called_missing(control, proxy):
    assert control.exists("p/none") is False
    proxy.faults.append(Fault(Answer(403, "AccessDenied", "no"), op="HeadObject"))
    with pytest.raises(WaybillError, match="access denied"):
        control.exists("p/none")


def test_published_manifests_are_known_by_name_and_place():
    transfer = SimpleNamespace(prefix="p/", publish_prefix="p/manifests/")
    name = "manifest-2026-01-02-03-04-05-678.json"
    assert is_published(transfer, f"manifests/{name}")
    assert not is_published(transfer, name)
    assert not is_published(transfer, "manifests/mine.json")
    outside = SimpleNamespace(prefix="p/", publish_prefix="manifests/")
    assert not is_published(outside, f"manifests/{name}")
    assert not is_published(SimpleNamespace(prefix="p/", publish_prefix=None), f"manifests/{name}")


def test_times_are_utc_to_the_millisecond():
    from datetime import UTC, datetime

    when = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    assert manifest_name(when) == "manifest-2026-01-02-03-04-05-678.json"
    assert utc(when) == "2026-01-02T03:04:05.678Z"
    assert utc(1_767_323_045_678_901_234) == "2026-01-02T03:04:05.678Z"
    assert utc(-1) == "1969-12-31T23:59:59.999Z"


MANY = [f"{i % 13:02}/{i:04}" for i in range(260)] + NAMES


@pytest.fixture(scope="module")
def full_bucket(s3):
    """The name of a bucket with many objects, which tests only list."""
    bucket, client = s3.make_bucket("waybill-listing"), s3.client()

    def put(name: str) -> None:
        client.put_object(Bucket=bucket, Key=f"p/{name}", Body=b"")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, MANY))
    return bucket


@pytest.fixture
def crowded(control_of, full_bucket, proxy, monkeypatch):
    """The reader of that bucket, with small pages, and ranges that are worth while from 50 names
    on, which are more than a page."""
    proxy.fault(short_pages(PAGE_KEYS), op="ListObjectsV2")
    monkeypatch.setattr(listing, "RANGE_NAMES", 50)
    return control_of(full_bucket)


def test_ranges_side_by_side_hold_every_object_once(crowded, proxy):
    found = [entry.path for entry in crowded.list_prefix(known=MANY)]
    assert sorted(found) == sorted(MANY)
    starts = [r.query.get("start-after") for r in proxy.select(op="ListObjectsV2")]
    assert len({start for start in starts if start}) == SIDE_BY_SIDE - 1
    one_by_one = [entry.path for entry in crowded.list_prefix()]
    assert found == one_by_one


@pytest.mark.parametrize("name", ["q", "!", "\udcff"], ids=["after", "before", "no text"])
def test_what_is_known_may_be_wrong(crowded, name):
    found = crowded.list_prefix(known=[f"{name}{i}" for i in range(300)])
    assert sorted(entry.path for entry in found) == sorted(MANY)


def test_a_server_that_does_not_begin_where_it_is_told_to(crowded, proxy, monkeypatch):
    ordinary = list(crowded.list_prefix())
    real = listing._list
    monkeypatch.setattr(listing, "_list", lambda *a: real(*a[:4]))  # from the first key on, always
    proxy.clear()
    assert list(crowded.list_prefix(known=MANY)) == ordinary


ORDERS = {
    "folders before what begins like them": lambda path: path.split("/"),
    "small and capital letters alike": str.lower,
    "backwards": lambda path: [-ord(letter) for letter in path],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_server_with_an_order_of_its_own(control, monkeypatch, order):
    """As gateways to file systems have; what would stand between two ranges must not be lost."""
    monkeypatch.setattr(listing, "RANGE_NAMES", 100)
    names = [f"{stem}{tail}" for i in range(300) for stem in [f"{chr(65 + i % 50)}{i}"]
             for tail in ("", "-b", "/x")]  # fmt: skip
    served = sorted(names, key=order)

    def ordered(_client, _transfer, _prefix, _request, after=None):
        for name in served:
            if after is None or order(name) > order(after):
                yield RemoteEntry(name, 0, 0, "")

    monkeypatch.setattr(listing, "_list", ordered)
    for start in range(0, len(names), 7):
        known = sorted(names)[start : start + 250]
        assert [entry.path for entry in control.list_prefix(known=known)] == served


def test_a_range_that_fails_is_no_listing(crowded, proxy):
    proxy.faults.append(Fault(Answer(403, "AccessDenied", "no"), op="ListObjectsV2", after=2))
    with pytest.raises(WaybillError, match="access denied to ListObjectsV2"):
        list(crowded.list_prefix(known=MANY))
