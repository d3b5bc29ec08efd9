"""The listing of a prefix: one ListObjectsV2 request per 1,000 objects, parsed fast.

A server takes its time for each page, and tells only there where the next one begins. Where many
names are known beforehand, ranges between some of them are listed side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

import botocore.exceptions as be

from waybill.entries import RemoteEntry
from waybill.errors import WaybillError
from waybill.s3_errors import explain
from waybill.times import nanoseconds

if TYPE_CHECKING:
    from waybill.config import Transfer


log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4  # ranges at one time
RANGE_NAMES = 5_000  # known names in a range, at least

# The fields of an object that are taken from a page (S3 API, ListObjectsV2).
_WANTED = frozenset(("Key", "LastModified", "ETag", "Size"))


def parse_listing(response_dict: dict, customized_response_dict: dict, **_: object) -> None:
    """botocore hook: take the objects out of a listing before its own parser sees them, which
    needs about 50 µs for each; this needs 4.

    An error or a page that is no XML is left as it is for botocore's retries.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        root = ElementTree.fromstring(response_dict["body"])
    except ElementTree.ParseError:
        return
    contents: list[dict[str, str]] = []
    tail: dict[str, str] = {}
    for child in root:
        tag = child.tag.rpartition("}")[2]
        if tag == "Contents":
            fields = ((field.tag.rpartition("}")[2], field.text or "") for field in child)
            contents.append({name: text for name, text in fields if name in _WANTED})
        else:
            tail[tag] = child.text or ""
    if "IsTruncated" not in tail:
        return
    customized_response_dict["Waybill"] = (contents, tail)
    response_dict["body"] = b"<ListBucketResult></ListBucketResult>"


class _Range(NamedTuple):
    """What is listed from a start on: the paths of the first object and of the first one behind
    the end, None where there is none, and the objects before the end."""

    first: str | None
    behind: str | None
    entries: list[RemoteEntry]


def list_objects(
    client: Any,
    transfer: Transfer,
    prefix: str,
    request: dict[str, Any],
    known: Collection[str] = (),
) -> Iterator[RemoteEntry]:
    """Every object under ``prefix``, its path relative to it, in the order the server sends.

    ``request`` holds what every request of the transfer carries (``s3.common_arguments``),
    ``known`` are paths that are likely to be there. One request per 1,000 objects, and one for
    each further range. Raises WaybillError: a listing is complete or it is none.
    """
    starts = _starts(known)

    def list_range(after: str | None, until: str | None) -> _Range:
        first, found = None, []
        for entry in _list(client, transfer, prefix, request, after):
            first = entry.path if first is None else first
            if until is not None and entry.path.encode("utf-8", "surrogatepass") > until.encode():
                return _Range(first, entry.path, found)
            found.append(entry)
        return _Range(first, None, found)

    if starts:
        with ThreadPoolExecutor(len(starts) + 1) as pool:
            ranges = list(pool.map(list_range, [None, *starts], [*starts, None]))
        # Whatever the order of the server: nothing is between two ranges when the second begins
        # with the very object that the first has ended before.
        if all(here.behind == there.first for here, there in pairwise(ranges)):
            for each in ranges:
                yield from each.entries
            return
        log.info("%s is listed once more, page by page: its order is not that of S3", transfer.url)
    yield from _list(client, transfer, prefix, request)


def _starts(known: Collection[str]) -> list[str]:
    """Where ranges begin that hold about as many of the known names each."""
    count = min(SIDE_BY_SIDE, len(known) // RANGE_NAMES)
    if count < 2:
        return []
    names = sorted(name.encode("utf-8", "replace") for name in known)
    return [names[len(names) * i // count].decode() for i in range(1, count)]


def _list(
    client: Any,
    transfer: Transfer,
    prefix: str,
    request: dict[str, Any],
    after: str | None = None,
) -> Iterator[RemoteEntry]:
    """The objects under ``prefix`` whose paths come after ``after``, page by page."""
    skip = len(prefix)
    arguments = {**request, "Prefix": prefix, "EncodingType": "url"}
    if after is not None:
        arguments["StartAfter"] = prefix + after
    times: dict[str, int] = {}  # many objects share a second
    while True:
        try:
            answer = client.list_objects_v2(**arguments)
        except (be.BotoCoreError, be.ClientError) as error:
            raise explain(error, transfer, what=f"list {transfer.url}") from None
        if "Waybill" not in answer:
            raise WaybillError(
                f"list {transfer.url}: the answer is no S3 listing; check the endpoint"
            )
        contents, tail = answer["Waybill"]
        encoded = tail.get("EncodingType") == "url"
        for item in contents:
            stamp = item["LastModified"]
            if stamp not in times:
                times[stamp] = nanoseconds(datetime.fromisoformat(stamp))
            key = item["Key"]
            if encoded:
                key = unquote(key.replace("+", "%20"))
            yield RemoteEntry(
                key[skip:],
                int(item["Size"]),
                times[stamp],
                item.get("ETag", "").strip('"'),
            )
        if tail["IsTruncated"] != "true":
            return
        token = tail.get("NextContinuationToken")
        if not token:
            raise WaybillError(
                f"list {transfer.url}: the server said there is more but not where; try again"
            )
        arguments["ContinuationToken"] = token
