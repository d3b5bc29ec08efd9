"""The listing of a prefix: one ListObjectsV2 request per 1,000 objects, parsed fast."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree

import botocore.exceptions as be

from waybill.entries import RemoteEntry
from waybill.errors import WaybillError
from waybill.s3_errors import explain
from waybill.times import nanoseconds

if TYPE_CHECKING:
    from waybill.config import Transfer


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


def list_objects(
    client: Any, transfer: Transfer, prefix: str, request: dict[str, Any]
) -> Iterator[RemoteEntry]:
    """Every object under ``prefix``, its path relative to it, in the order the server sends.

    ``request`` holds what every request of the transfer carries (``s3.common_arguments``).
    One request per 1,000 objects. Raises WaybillError: a listing is complete or it is none.
    """
    skip = len(prefix)
    arguments = {**request, "Prefix": prefix, "EncodingType": "url"}
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
