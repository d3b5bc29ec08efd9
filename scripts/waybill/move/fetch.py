"""Fetches one object into a file, in one request or in ranges side by side; checks its bytes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be

from waybill.model.difference import Difference
from waybill.move.compare import part_sizes
from waybill.move.partial import Partial
from waybill.results.journal import Journal, OpenDownload, Record
from waybill.s3.checksums import claimed
from waybill.s3.client import common_arguments
from waybill.s3.engine.base import Engine, ReplacedError
from waybill.s3.errors import CONFLICT, error_code, is_missing
from waybill.s3.evidence import ask, etag_of, object_of, size_of
from waybill.s3.object_check import ObjectCheck
from waybill.s3.parts import Part, part_size, parts
from waybill.s3.request_checksums import RequestChecksums
from waybill.system.meter import METER

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

log = logging.getLogger(__name__)


class Fetcher:
    """Fetches the objects of one job.

    ``pool`` runs the ranges, ``key`` gives the key of an entry. ``replaced`` tells whether the
    proof at a path is of another object. ``tried`` is the number of earlier attempts whose bytes
    did not agree with the checksum. Raises ReplacedError when an object is no longer the one that
    was listed.
    """

    def __init__(
        self,
        transfer: Transfer,
        engine: Engine,
        journal: Journal,
        record: Record,
        pool: ThreadPoolExecutor,
        key: Callable[[Difference], str],
        replaced: Callable[[str], bool],
    ) -> None:
        self._engine, self._journal, self._record = engine, journal, record
        self._pool, self._key, self._replaced = pool, key, replaced
        self._common = common_arguments(transfer)
        self._checksums = RequestChecksums(transfer)
        self._md5_etags = transfer.etag_is_md5

    def whole(
        self, file: Partial, item: Difference, tried: int
    ) -> tuple[dict[str, Any], ObjectCheck]:
        """Fetch the object in one request. Returns the answer and the check of the bytes."""
        seen: list[tuple[dict[str, Any], ObjectCheck]] = []

        def begin(answer: dict[str, Any]) -> None:
            seen.append((answer, self.check(item, answer, tried)))

        def sink(start: int, block: bytes) -> None:
            file.write(start, block)
            seen[0][1].update(block)

        file.clear()  # an earlier process may have left more than this object has
        self._engine.get(self._key(item), item.etag, Part(1, 0, item.size), sink, begin)
        return seen[0]

    def ranges(
        self, file: Partial, item: Difference, tried: int
    ) -> tuple[dict[str, Any], ObjectCheck]:
        """Fetch the object in parallel ranges, except ranges that are in the file already. Returns
        the answer to a HEAD and the check of the bytes. For the check all ranges are read from the
        file in order, also those of an earlier run."""
        head = self._head(item, **self._checksums.of_answer())
        if (etag_of(head), size_of(head)) != (item.etag, item.size):
            raise ReplacedError
        check = self.check(item, head, tried)
        download = self._open_download(file, item, resume=not tried and check.is_sure)
        key = self._key(item)

        def get(part: Part) -> None:
            if part.number in download.ranges:
                METER.there(key, part.length)
            else:
                self._engine.get(key, item.etag, part, file.write)
                self._journal.range(download.id, part.number)
                download.ranges.add(part.number)

        whole = list(parts(item.size, download.part_size))
        futures = [self._pool.submit(get, part) for part in whole]
        try:
            for part, future in zip(whole, futures, strict=True):
                future.result()
                for block in file.read(part):
                    check.update(block)
        finally:
            for future in futures:
                future.cancel()
            for future in futures:  # no thread may write to a file that is given up
                if not future.cancelled():
                    future.exception()
        return head, check

    def _open_download(self, file: Partial, item: Difference, *, resume: bool) -> OpenDownload:
        """The download of this very object that an earlier job began, or a new one."""
        earlier = self._record.open_download(item.path)
        wanted = (item.etag, item.size, part_size(item.size))
        if (
            earlier is not None
            and resume
            and (earlier.etag, earlier.size, earlier.part_size) == wanted
            and file.length == item.size
        ):
            log.info("%s: %d ranges are there already", item.path, len(earlier.ranges))
            return earlier
        file.clear(item.size)
        download = OpenDownload(item.path, secrets.token_hex(8), *wanted)
        self._journal.download(download)
        self._record.downloads[download.id] = download
        return download

    def _head(self, item: Difference, **arguments: Any) -> dict[str, Any]:
        client, key = self._engine.client, self._key(item)
        try:
            return ask(client, client.head_object, object_of, Key=key, **arguments, **self._common)
        except be.ClientError as error:
            if is_missing(error) or error_code(error) in CONFLICT:
                raise ReplacedError from None
            raise

    def check(self, item: Difference, answer: dict[str, Any], tried: int = 0) -> ObjectCheck:
        """The check for the bytes of an object.

        Checksums of parts cost requests and time. They are used after a failed attempt, for an
        object without checksums in its metadata, and for a replaced object in parts. An answer
        without an ETag is checked against the ETag that was requested.
        """
        if "ETag" not in answer:
            answer = {"ETag": item.etag}

        def head(**arguments: Any) -> dict[str, Any]:
            # Without If-Match, because some stores compare it with the ETag of the part. If the
            # object was replaced, wrong sizes do no harm: its bytes are requested with If-Match.
            return self._head(item, **arguments)

        replaced = partial(self._replaced, item.path)
        return ObjectCheck(
            answer,
            item.size,
            partial(part_sizes, head),
            replaced=replaced,
            md5_etags=self._md5_etags,
            parts=bool(tried) or not any(claimed(answer)) or ("-" in item.etag and replaced()),
        )
