"""The closer look of a verification: stored checksums by HEAD, or every byte of both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be

from waybill.model.difference import CHANGED, FAILED
from waybill.model.errors import EntryError
from waybill.move.compare import with_checksums
from waybill.s3.client import common_arguments
from waybill.s3.engine.base import Engine, ReplacedError
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain, is_fatal, is_missing
from waybill.s3.evidence import ask, etag_of, object_of
from waybill.s3.object_check import by_sha256
from waybill.s3.parts import Part
from waybill.s3.request_checksums import RequestChecksums
from waybill.system.hashing import sha256_of
from waybill.system.meter import METER
from waybill.system.root import Root
from waybill.verify.judge import (
    CONTENT,
    Finding,
    Look,
    judge_content,
    judge_metadata,
    missing,
    sides,
)

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


class Looker:
    """Looks at entries, several at a time and at ``max_bandwidth`` at most."""

    def __init__(self, transfer: Transfer, *, accelerate: bool) -> None:
        self._transfer, self._accelerate = transfer, accelerate
        self._root = Root(transfer.folder, transfer.symlinks)
        # The list is the source, and the folder that it is compared with is the destination.
        self._direction = "download" if transfer.verify_against else transfer.direction
        self._folder, self._bucket = sides(self._direction)
        self._common = common_arguments(transfer)

    @cached_property
    def _engine(self) -> Engine:
        return make_engine(self._transfer, accelerate=self._accelerate)

    def run(self, looks: list[Look]) -> list[Finding]:
        """The findings of the looks, in their order. An entry that cannot be looked at is a
        finding. Raises WaybillError for an error that every entry would meet."""
        pool = ThreadPoolExecutor(self._transfer.threads)
        METER.expect(self._bytes_there(look) for look in looks)
        for look in looks:
            METER.begin(look.key, look.path, self._bytes_there(look))
        if self._reads:
            METER.expect_hashes(sum(look.size for look in looks if look.mtime_ns is not None))
        if any(look.etag for look in looks):
            _ = self._engine  # made once, before the threads
        try:
            if not self._reads:
                return [found for result in pool.map(self._ask, looks) for found in result]
            both = [self._submit(pool, look) for look in looks]
            return [
                found
                for look, (local, there) in zip(looks, both, strict=True)
                for found in self._judge(look, local, there)
            ]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _reads(self) -> bool:
        """Whether the bytes of both sides are read."""
        return self._transfer.verify_depth == CONTENT

    def _bytes_there(self, look: Look) -> int:
        return look.size if self._reads and look.etag else 0

    def _ask(self, look: Look) -> list[Finding]:
        """Look at the checksums that S3 stores."""
        head = self._try(look, self._head)
        METER.end(look.key, arrived=True)
        if isinstance(head, Finding):
            return [head]
        etag = etag_of(head)
        verdict = by_sha256(head, look.sha256, look.stands(etag))
        return judge_metadata(look, etag, verdict, direction=self._direction)

    def _head(self, look: Look) -> dict[str, Any]:
        client = self._engine.client
        return with_checksums(
            RequestChecksums(self._transfer),
            partial(ask, client, client.head_object, object_of, Key=look.key, **self._common),
        )

    def _submit(self, pool: ThreadPoolExecutor, look: Look) -> list[Future[Any] | None]:
        return [
            pool.submit(self._hash_local, look) if look.mtime_ns is not None else None,
            pool.submit(self._hash_there, look) if look.etag else None,
        ]

    def _judge(
        self, look: Look, local: Future[Any] | None, there: Future[Any] | None
    ) -> list[Finding]:
        here, away = (side.result() if side else None for side in (local, there))
        METER.end(look.key, arrived=True)
        found = judge_content(look, here, away, direction=self._direction)
        damaged = (f.status == CHANGED and f.side != self._folder for f in found)
        if isinstance(away, str) and any(damaged):  # once more: the way here may have damaged them
            found = judge_content(look, here, self._hash_there(look), direction=self._direction)
        return found

    def _hash_local(self, look: Look) -> str | Finding:
        try:
            return sha256_of(self._root, look.entry)
        except EntryError as error:
            return Finding(FAILED, self._folder, look.path, look.size, str(error))

    def _hash_there(self, look: Look) -> str | Finding:
        return self._try(look, self._get)

    def _get(self, look: Look) -> str:
        digest = hashlib.sha256()
        self._engine.get(
            look.key,
            look.etag,
            Part(1, 0, look.size),
            lambda _at, block: digest.update(block),
            lambda _answer: None,
        )
        return digest.hexdigest()

    def _try(self, look: Look, ask: Callable[[Look], Any]) -> Any:
        """The answer of ``ask``, or the finding that the object cannot be looked at."""
        try:
            return ask(look)
        except ReplacedError:
            reason = "was replaced or removed while it was verified; run again"
        except (be.ClientError, be.BotoCoreError) as error:
            if is_fatal(error):
                raise explain(error, self._transfer) from None
            if isinstance(error, be.ClientError) and is_missing(error):
                return missing(look.path, look.size, self._bucket)
            url = f"s3://{self._transfer.bucket}/{look.key}"
            reason = str(explain(error, self._transfer, what=url))
        return Finding(FAILED, self._bucket, look.path, look.size, reason)
