"""Asks S3 about single objects: whether an object holds the bytes of a file (``s3.same_bytes``),
and when the file behind an object was modified."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as be

from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.s3.client import common_arguments, make_client
from waybill.s3.engine.base import SOURCE_MTIME
from waybill.s3.errors import DENIED, error_code, explain, is_fatal, is_missing
from waybill.s3.evidence import ask, etag_of, object_of, size_of
from waybill.s3.object_check import check_file
from waybill.s3.request_checksums import RequestChecksums
from waybill.s3.same_bytes import LISTING, Verdict
from waybill.system.hashing import BLOCK_BYTES, opened, read_range
from waybill.system.root import Root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

_SECONDS = re.compile(r"(-?\d{1,15})(?:\.(\d{1,9}))?", re.ASCII)

# Error codes of stores that do not answer a HEAD for one part, or have no such part.
_UNTOLD = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400", "416"}

Head = Callable[..., dict[str, Any]]  # asks for one object


def source_mtime(head: dict[str, Any], default: int) -> int:
    """The modification time (ns) of the file that an object was made from, as its user metadata
    have it; ``default`` when they do not."""
    for name, value in head.get("Metadata", {}).items():
        match = _SECONDS.fullmatch(str(value)) if name.lower() == SOURCE_MTIME else None
        if match:
            return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
    return default


def with_checksums(checksums: RequestChecksums, head: Head) -> dict[str, Any]:
    """The answer to one HEAD, with the checksums of the store unless this user may not see them."""
    try:
        return head(**checksums.of_answer())
    except be.ClientError as error:
        if error_code(error) not in DENIED:
            raise
        return head()  # checksums need kms:Decrypt, the rest does not


def part_sizes(head: Head, count: int) -> list[int] | None:
    """The sizes in bytes of an object's parts, one HEAD each; None when the store does not tell."""
    sizes = []
    for number in range(1, count + 1):
        try:
            answer = head(PartNumber=number)
        except be.ClientError as error:
            if error_code(error) in _UNTOLD:
                return None
            raise
        if answer.get("PartsCount", 0) != count:
            return None
        sizes.append(size_of(answer))
    return sizes


def compare_file(
    head: Head, answer: dict[str, Any], root: Root, entry: LocalEntry, sha256: str, **more: Any
) -> Verdict:
    """Whether a file with this SHA-256 (hex) and an object hold the same bytes. ``answer`` comes
    from ``with_checksums``; ``more`` goes to ``check_file``. Raises EntryError when the file has
    changed since the inventory."""

    def read(update: Callable[[bytes], None]) -> None:
        with opened(root, entry) as descriptor:
            for start in range(0, entry.size, BLOCK_BYTES):
                length = min(BLOCK_BYTES, entry.size - start)
                update(read_range(descriptor, entry.path, start, length))

    if size_of(answer) != entry.size:
        return Verdict(False, LISTING)
    sizes = lambda count: part_sizes(head, count)  # noqa: E731
    return check_file(answer, entry.size, sha256, read, sizes, **more)


Entry = LocalEntry | RemoteEntry
Answer = TypeVar("Answer")


class Comparer:
    """Asks S3 about single objects, several at a time."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._root = Root(transfer.folder, transfer.symlinks)
        self._client = make_client(transfer)
        self._common = common_arguments(transfer)
        self._checksums = RequestChecksums(transfer)

    def same(
        self,
        entries: list[LocalEntry],
        hashes: Mapping[str, str],
        listed: Mapping[str, RemoteEntry],
    ) -> dict[str, Verdict | EntryError]:
        """For each file by path: whether the object that was ``listed`` holds the same bytes, or
        the error of this one entry. Raises WaybillError for an error that every entry would
        meet."""

        def same(entry: LocalEntry) -> Verdict:
            return self._same(entry, hashes[entry.path], listed[entry.path])

        return self._ask(entries, same)

    def made_ns(self, entries: list[RemoteEntry]) -> dict[str, int | EntryError]:
        """For each object by path: the modification time in ns of the file it was made from, where
        its metadata tells it, else its own; or the error of this one entry."""

        def made(entry: RemoteEntry) -> int:
            try:
                return source_mtime(self._head(entry)(), entry.mtime_ns)
            except be.ClientError as error:
                if not is_missing(error):
                    raise
                return entry.mtime_ns

        return self._ask(entries, made)

    def _ask(
        self, entries: list[Any], ask: Callable[[Any], Answer]
    ) -> dict[str, Answer | EntryError]:
        with ThreadPoolExecutor(self._transfer.threads) as pool:
            results = pool.map(lambda entry: self._try(entry, ask), entries)
            return {entry.path: result for entry, result in zip(entries, results, strict=True)}

    def _try(self, entry: Entry, ask: Callable[[Any], Answer]) -> Answer | EntryError:
        try:
            return ask(entry)
        except EntryError as error:
            return error
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            url = f"s3://{self._transfer.bucket}/{self._transfer.prefix}{entry.path}"
            why = explain(error, self._transfer, what=url)
            return EntryError(entry.path, str(why), lasting=why.lasting)

    def _same(self, entry: LocalEntry, sha256: str, listed: RemoteEntry) -> Verdict:
        head = self._head(entry)
        try:
            answer = with_checksums(self._checksums, head)
            if listed.etag not in ("", etag_of(answer)):
                return Verdict(False, LISTING)
            more = {"replaced": listed.replaced, "md5_etags": self._transfer.etag_is_md5}
            return compare_file(head, answer, self._root, entry, sha256, **more)
        except be.ClientError as error:
            if not is_missing(error):
                raise
            return Verdict(False, LISTING)

    def _head(self, entry: Entry) -> Head:
        key = self._transfer.prefix + entry.path
        client = self._client
        return partial(ask, client, client.head_object, object_of, Key=key, **self._common)
