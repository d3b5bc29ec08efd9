"""Looks by name for objects that were written, where the answers to the writes prove nothing."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.exceptions as be

from waybill.model.errors import WaybillError
from waybill.s3.client import common_arguments
from waybill.s3.errors import is_missing
from waybill.s3.evidence import Stored, ask, etag_of, size_of
from waybill.s3.listing import list_after

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

PAGE = 1_000  # objects in one answer


class Seen(NamedTuple):
    """An object as it is listed: etag without quotes or ``""``, size in bytes."""

    etag: str
    size: int

    def is_the(self, stored: Stored, size: int) -> bool:
        """Whether this is the object in the answer to a write: the same size, and the same etag
        where the listing has one."""
        return self.size == size and self.etag in ("", stored.etag)


def look_for(client: Any, transfer: Transfer, keys: Collection[str]) -> dict[str, Seen]:
    """The objects in the bucket under these keys, by key.

    The range of the keys is listed once. A key that this listing does not show is looked for by
    itself. Raises WaybillError, or an error of botocore.
    """
    wanted, found = set(keys), dict[str, Seen]()
    if len(wanted) > 1:
        try:
            found = _in_range(client, transfer, wanted)
        except WaybillError:  # a store without start-after: nothing is found, each is looked for
            found = {}
    for key in wanted - found.keys():
        if seen := _one(client, transfer, key):
            found[key] = seen
    return found


def _in_range(client: Any, transfer: Transfer, keys: set[str]) -> dict[str, Seen]:
    """The objects under these keys that a listing from the first to the last key shows. The listing
    ends after as many requests as it takes to look for each key by itself."""
    first, last = min(keys, key=_order), max(keys, key=_order)
    prefix = transfer.prefix if first.startswith(transfer.prefix) else ""
    found = {}
    entries = list_after(
        client, transfer, prefix, common_arguments(transfer), first[len(prefix) : -1] or None
    )
    for entry in islice(entries, PAGE * len(keys)):
        key = prefix + entry.path
        if key in keys:
            found[key] = Seen(entry.etag, entry.size)
        if _order(key) >= _order(last):
            break
    return found


def _one(client: Any, transfer: Transfer, key: str) -> Seen | None:
    request = common_arguments(transfer)
    try:
        for entry in islice(list_after(client, transfer, key, request), PAGE):
            if not entry.path:
                return Seen(entry.etag, entry.size)
        return None
    except WaybillError:  # a directory bucket lists folders only
        try:
            return ask(
                client,
                client.head_object,
                lambda head: Seen(etag_of(head), size_of(head)),
                Key=key,
                **request,
            )
        except be.ClientError as error:
            if is_missing(error):
                return None
            raise


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
