"""The listing of a prefix: one ListObjectsV2 request per 1,000 objects, parsed fast.

A page takes the server some time, and only a page says where the next one begins. When many names
are known beforehand, ranges between some of them are listed in parallel.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, unquote_plus
from xml.etree import ElementTree

import botocore.exceptions as be

from waybill.model.entries import RemoteEntry
from waybill.model.errors import WaybillError
from waybill.model.times import nanoseconds
from waybill.s3.causes import host_of
from waybill.s3.errors import ELSEWHERE, error_code, explain, is_fatal
from waybill.s3.evidence import Answer, OddAnswerError, ask
from waybill.s3.retries import status_of

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4  # ranges at one time
RANGE_NAMES = 5_000  # known names in a range, at least

EMPTY_PAGES = 1_000  # in a row; a bucket that is full of delete markers may have many
_MOST_BYTES = 1 << 50  # of an object; S3 takes 50 TB
_REFUSING_STATUS = {400, 405, 501}

# The fields of an object that are taken from a page (S3 API, ListObjectsV2).
_WANTED = frozenset(("Key", "LastModified", "ETag", "Size"))


def parse_listing(response_dict: dict, customized_response_dict: dict) -> None:
    """Take the objects out of a listing, in a hook of botocore before its own parser does. That
    parser takes about 50 µs for each object, this one takes 4.

    An error is left unchanged for botocore's retries. Of a page that is no XML nothing is left: it
    is no listing.
    """
    if response_dict["status_code"] != 200:
        return
    body, response_dict["body"] = response_dict["body"], b""
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
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
    if "IsTruncated" in tail:
        customized_response_dict["Waybill"] = (contents, tail)
    elif root.tag.rpartition("}")[2] == "Error":
        response_dict["body"] = body


class _Range(NamedTuple):
    """A listing from a start to an end. ``first`` is the path of the first object after the start,
    ``behind`` that of the first object after the end; None where there is none. ``entries`` are the
    objects up to the end."""

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

    ``request`` are the arguments of every request (``s3.client.common_arguments``), ``known`` are
    paths that are likely to be there. One request per 1,000 objects, and one for each further
    range. A store that knows no ranges is listed page by page. Raises WaybillError when the listing
    is not complete, has a key twice, or has a key that is not under ``prefix``.
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
        try:
            with ThreadPoolExecutor(len(starts) + 1) as pool:
                ranges = list(pool.map(list_range, [None, *starts], [*starts, None]))
        except _StartRefusedError:
            why = "it refuses to begin a listing at a given key"
        else:
            if _are_gapless(ranges):
                for each in ranges:
                    yield from each.entries
                return
            why = "its order is not that of S3"
        log.info("%s is listed once more, page by page: %s", transfer.url, why)
    yield from _list(client, transfer, prefix, request)


def _are_gapless(ranges: list[_Range]) -> bool:
    """Whether ranges hold every object once. In any order of the server, there is nothing between
    two ranges when the second begins with the object at which the first one stopped."""
    once = {entry.path for each in ranges for entry in each.entries}
    return len(once) == sum(len(each.entries) for each in ranges) and all(
        here.behind == there.first for here, there in pairwise(ranges)
    )


def _starts(known: Collection[str]) -> list[str]:
    """The names after which the further ranges begin. Each range has about the same number of known
    names."""
    count = min(SIDE_BY_SIDE, len(known) // RANGE_NAMES)
    if count < 2:
        return []
    names = sorted(name.encode("utf-8", "replace") for name in known)
    return [names[len(names) * i // count].decode() for i in range(1, count)]


def list_after(
    client: Any, transfer: Transfer, prefix: str, request: dict[str, Any], after: str | None = None
) -> Iterator[RemoteEntry]:
    """The objects under ``prefix`` whose paths come after ``after``, as in ``list_objects``. Pages
    are requested only while the caller takes entries."""
    return _list(client, transfer, prefix, request, after)


def _list(
    client: Any,
    transfer: Transfer,
    prefix: str,
    request: dict[str, Any],
    after: str | None = None,
) -> Iterator[RemoteEntry]:
    """The objects under ``prefix`` whose paths come after ``after``, page by page."""
    arguments = {**request, "Prefix": prefix, "EncodingType": "url"}
    if after is not None:
        arguments["StartAfter"] = prefix + after
    checks = _Checks(transfer, prefix, transfer.endpoint_url or client.meta.endpoint_url)
    while True:
        try:
            contents, tail = ask(
                client, client.list_objects_v2, partial(_page, arguments), **arguments
            )
        except OddAnswerError:
            raise WaybillError(
                f"list {transfer.url}: the answer is no S3 listing; check `endpoint_url`"
            ) from None
        except (be.BotoCoreError, be.ClientError) as error:
            told = explain(error, transfer, what=f"list {transfer.url}")
            if after is not None and "ContinuationToken" not in arguments and _is_refusal(error):
                raise _StartRefusedError(str(told)) from None
            raise told from None
        yield from checks.entries(contents, encoded=tail.get("EncodingType") == "url")
        token = checks.next_token(tail)
        if token is None:
            return
        arguments["ContinuationToken"] = token


class _StartRefusedError(WaybillError):
    """The store does not list from a given key on. Directory buckets do not, nor do some
    gateways."""


def _is_refusal(error: Exception) -> bool:
    """Whether a store refuses what a request asks for, and neither the user nor the bucket."""
    if not isinstance(error, be.ClientError) or is_fatal(error) or error_code(error) in ELSEWHERE:
        return False
    return status_of(error) in _REFUSING_STATUS


class _Checks:
    """Checks that the pages of one listing fit together. Each method raises WaybillError for pages
    that S3 would never send."""

    def __init__(self, transfer: Transfer, prefix: str, store: str) -> None:
        self._transfer, self._prefix, self._store = transfer, prefix, store
        self._times: dict[str, int] = {}  # many objects share a second
        self._seen: set[str] = set()
        self._tokens: set[str] = set()
        self._empty = 0  # pages in a row

    def entries(self, contents: list[dict[str, str]], *, encoded: bool) -> Iterator[RemoteEntry]:
        """The objects of a page."""
        keys = [item.get("Key", "") for item in contents]
        if encoded:
            keys = [unquote(key.replace("+", "%20")) for key in keys]
        bucket = self._transfer.bucket
        if not self._seen.isdisjoint(keys) or len(set(keys)) != len(keys):
            raise self._broken(f"it tells s3://{bucket}/{_repeated(keys, self._seen)} twice")
        self._seen.update(keys)
        self._empty = 0 if keys else self._empty + 1
        skip, times = len(self._prefix), self._times
        for item, key in zip(contents, keys, strict=True):
            if not key or not key.startswith(self._prefix):
                raise self._broken(f"it tells a key that is not in it, {key!r:.200}")
            try:
                stamp = item["LastModified"]
                if stamp not in times:
                    times[stamp] = nanoseconds(datetime.fromisoformat(stamp))
                size = int(item["Size"])
            except (KeyError, ValueError, TypeError, OverflowError):
                raise self._broken(f"s3://{bucket}/{key} has no size or time in it") from None
            if not 0 <= size <= _MOST_BYTES:
                raise self._broken(f"s3://{bucket}/{key} has no size in it")
            yield RemoteEntry(key[skip:], size, times[stamp], item.get("ETag", "").strip('"'))

    def next_token(self, tail: dict[str, str]) -> str | None:
        """Where the next page begins; None after the last one."""
        more = tail["IsTruncated"].strip().lower()
        if more == "false":
            return None
        token = tail.get("NextContinuationToken")
        if more != "true" or not token:
            raise WaybillError(
                f"list {self._transfer.url}: the server said there is more but not where; try again"
            )
        if token in self._tokens:
            raise self._broken("the server gave one continuation token twice")
        if self._empty > EMPTY_PAGES:
            raise self._broken(f"{EMPTY_PAGES} pages in a row were empty, and there is no end")
        self._tokens.add(token)
        return token

    def _broken(self, what: str) -> WaybillError:
        return WaybillError(
            f"list {self._transfer.url}: {what}, so the listing is not complete; the store"
            f" {host_of(self._store)} does not list as S3 does"
        )


def _repeated(keys: list[str], before: set[str]) -> str:
    """The first key of a page that is in ``before``, or that the page has twice."""
    before = set(before)
    for key in keys:
        if key in before:
            return key
        before.add(key)
    return ""


def _page(arguments: dict[str, Any], answer: Answer) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The objects of a page, and its other elements. Raises OddAnswerError when the answer is no
    page, or a page of another listing; a page repeats the arguments of its request."""
    if "Waybill" not in answer:
        raise OddAnswerError(what="it is no listing")
    contents, tail = answer["Waybill"]
    for name in ("Prefix", "StartAfter"):
        told, asked = tail.get(name), arguments.get(name)
        if told and asked and asked not in (told, unquote(told), unquote_plus(told)):
            raise OddAnswerError(what="it is a page of another listing")
    return contents, tail
