"""The requests that an inventory and a verification make to the bucket of a transfer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import botocore.exceptions as be

from waybill.model.entries import RemoteEntry
from waybill.model.locations import is_arn
from waybill.s3.client import bucket_accelerates, common_arguments, make_client
from waybill.s3.errors import explain, is_missing
from waybill.s3.evidence import understood
from waybill.s3.listing import list_objects

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


class Bucket:
    """The bucket of a transfer. Every method raises WaybillError when S3 refuses or cannot be
    reached. No error is taken for a missing object."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._client = make_client(transfer)
        self._common = common_arguments(transfer)

    def list_prefix(
        self, prefix: str | None = None, known: Collection[str] = ()
    ) -> Iterator[RemoteEntry]:
        """The objects under ``prefix`` (the transfer's by default), with paths relative to it.
        ``known`` are paths that are likely to be there: they make a long listing faster, as in
        ``list_objects``."""
        if prefix is None:
            prefix = self._transfer.prefix
        return list_objects(self._client, self._transfer, prefix, self._common, known)

    def accelerates(self) -> bool:
        """Whether bytes go through Transfer Acceleration."""
        wish = self._transfer.accelerate
        if wish != "auto":
            return bool(wish)
        if self._transfer.endpoint_url or self._client.meta.endpoint_url.startswith("http://"):
            return False
        if is_arn(self._transfer.bucket):
            return False
        if "amazonaws.com" not in self._client.meta.endpoint_url or "." in self._transfer.bucket:
            return False
        return bucket_accelerates(self._client, self._transfer)

    def exists(self, key: str) -> bool:
        """Whether there is an object at ``key``: one HEAD."""
        try:
            understood(self._client.head_object, Key=key, **self._common)
        except be.ClientError as error:
            if is_missing(error):
                return False
            raise self._explain(error, key) from None
        except be.BotoCoreError as error:
            raise self._explain(error, key) from None
        return True

    def get(self, key: str, most: int = 1 << 30) -> bytes:
        """The bytes of an object. Raises ValueError when it has more than ``most``."""
        try:
            answer = understood(self._client.get_object, Key=key, **self._common)
            with answer["Body"] as body:
                data = body.read(most + 1)
        except (be.BotoCoreError, be.ClientError) as error:
            raise self._explain(error, key) from None
        if len(data) > most:
            raise ValueError(f"has more than {most >> 20} MiB")
        return data

    def _explain(self, error: Exception, key: str):
        return explain(error, self._transfer, what=f"s3://{self._transfer.bucket}/{key}")
