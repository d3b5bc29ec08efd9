"""Whether an object holds the bytes of a file, asked of S3 for the entries a listing left open.

In this order, the first that the object has decides: its ``source-sha256`` metadata, its native
full-object SHA-256, its ETag where that is an MD5 (one part, not encrypted by KMS; S3 API,
"Checking object integrity"; costs reading the file once more). A composite checksum or ETag says
nothing about the whole file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be

from waybill.engine import SOURCE_MTIME, SOURCE_SHA256
from waybill.entries import LocalEntry, RemoteEntry
from waybill.errors import EntryError
from waybill.hashing import BLOCK_BYTES, opened, read_range
from waybill.root import Root
from waybill.s3 import common_arguments, make_client
from waybill.s3_errors import explain, is_fatal, is_missing

if TYPE_CHECKING:
    from waybill.config import Transfer

_SECONDS = re.compile(r"(-?\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)
_MD5 = re.compile(r"[0-9a-f]{32}")


def metadata_sha256(head: dict[str, Any]) -> str:
    """The whole-file SHA-256 in an object's user metadata, in hex, or ``""``.

    User metadata keys come back in any case, so they are compared without it.
    """
    for name, value in head.get("Metadata", {}).items():
        if name.lower() == SOURCE_SHA256:
            return str(value).lower()
    return ""


def source_mtime(head: dict[str, Any], default: int) -> int:
    """The modification time in ns of the file an object was made from, in its user metadata;
    ``default`` when it does not tell."""
    for name, value in head.get("Metadata", {}).items():
        match = _SECONDS.fullmatch(str(value)) if name.lower() == SOURCE_MTIME else None
        if match:
            return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
    return default


def native_sha256(head: dict[str, Any]) -> str:
    """The object's own full-object SHA-256 in hex, or ``""`` when it has none."""
    value = head.get("ChecksumSHA256", "")
    if not value or "-" in value or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return ""
    return base64.b64decode(value).hex()


Entry = LocalEntry | RemoteEntry
Answer = TypeVar("Answer")


class Comparer:
    """Asks S3 about single objects, several at a time."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._root = Root(transfer.folder, transfer.symlinks)
        self._client = make_client(transfer)
        self._common = common_arguments(transfer)

    def same(
        self, entries: list[LocalEntry], hashes: Mapping[str, str]
    ) -> dict[str, bool | EntryError | None]:
        """For each entry by path: the object holds the same bytes, other bytes, (None) nothing
        to compare with, or the error of this one entry. Raises WaybillError for an error that
        every entry would meet."""
        with ThreadPoolExecutor(self._transfer.threads) as pool:
            results = pool.map(
                lambda e: self._try(e, lambda e: self._same(e, hashes[e.path])), entries
            )
            return {entry.path: result for entry, result in zip(entries, results, strict=True)}

    def made_ns(self, entries: list[RemoteEntry]) -> dict[str, int | EntryError]:
        """For each object by path: the modification time in ns of the file it was made from, where
        its metadata tells it, else its own; or the error of this one entry."""

        def made(entry: RemoteEntry) -> int:
            return source_mtime(self._head(entry) or {}, entry.mtime_ns)

        with ThreadPoolExecutor(self._transfer.threads) as pool:
            results = pool.map(lambda e: self._try(e, made), entries)
            return {entry.path: result for entry, result in zip(entries, results, strict=True)}

    def _try(self, entry: Entry, ask: Callable[[Entry], Answer]) -> Answer | EntryError:
        try:
            return ask(entry)
        except EntryError as error:
            return error
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            url = f"s3://{self._transfer.bucket}/{self._transfer.prefix}{entry.path}"
            return EntryError(entry.path, str(explain(error, self._transfer, what=url)))

    def _same(self, entry: LocalEntry, sha256: str) -> bool | None:
        head = self._head(entry)
        if head is None or head["ContentLength"] != entry.size:
            return False
        if there := metadata_sha256(head):
            return there == sha256
        encrypted_by_kms = str(head.get("ServerSideEncryption", "")).startswith("aws:kms")
        if encrypted_by_kms:  # its checksums need kms:Decrypt, its ETag is no MD5
            return None
        head = self._head(entry, ChecksumMode="ENABLED") or {}
        if there := native_sha256(head):
            return there == sha256
        etag = head.get("ETag", "").strip('"')
        return _md5(self._root, entry) == etag if _MD5.fullmatch(etag) else None

    def _head(self, entry: Entry, **arguments: str) -> dict[str, Any] | None:
        key = self._transfer.prefix + entry.path
        try:
            return self._client.head_object(Key=key, **self._common, **arguments)
        except be.ClientError as error:
            if is_missing(error):
                return None
            raise


def _md5(root: Root, entry: LocalEntry) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with opened(root, entry) as descriptor:
        for start in range(0, entry.size, BLOCK_BYTES):
            length = min(BLOCK_BYTES, entry.size - start)
            digest.update(read_range(descriptor, entry.path, start, length))
    return digest.hexdigest()
