"""The listing of the parts of an open multipart upload."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from waybill.model.errors import WaybillError
from waybill.s3.causes import host_of
from waybill.s3.client import common_arguments
from waybill.s3.evidence import Answer, OddAnswerError, ask

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


class PartsListingError(WaybillError):
    """The store does not list the parts of an upload as S3 does."""


def list_parts(
    client: Any, transfer: Transfer, key: str, upload_id: str
) -> dict[int, tuple[str, int]]:
    """The parts of an upload that S3 has: number to (etag without quotes, size in bytes). A value
    that the store leaves out is ``""`` or -1.

    Raises PartsListingError for pages that S3 would never send, and botocore's errors.
    """
    found: dict[int, tuple[str, int]] = {}
    marker = 0
    arguments = {"Key": key, "UploadId": upload_id, **common_arguments(transfer)}
    while True:
        page = ask(client, client.list_parts, partial(_page, upload_id), **arguments)
        for part in page.get("Parts", ()):
            number = part.get("PartNumber", 0)
            found[number] = part.get("ETag", "").strip('"'), part.get("Size", -1)
        if not page.get("IsTruncated"):
            return found
        before, marker = marker, page.get("NextPartNumberMarker", 0)
        if marker <= before:  # S3 lists parts by their numbers
            store = host_of(transfer.endpoint_url or client.meta.endpoint_url)
            raise PartsListingError(
                f"list the parts of s3://{transfer.bucket}/{key}: the server said that there are"
                f" more after part {before}, and did not go on; the store {store} does not list"
                " parts as S3 does"
            )
        arguments["PartNumberMarker"] = marker


def _page(upload_id: str, answer: Answer) -> Answer:
    """An answer that is a page of this upload. Raises OddAnswerError for another one."""
    told = answer.get("UploadId")
    if told not in (None, upload_id) or not answer.keys() & {"UploadId", "Parts", "IsTruncated"}:
        raise OddAnswerError(what="it is no listing of this upload")
    return answer
