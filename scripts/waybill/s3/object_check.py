"""The checks behind ``same_bytes``: the bytes of a file or of a download, computed and held against
what an answer of S3 tells about an object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from waybill.s3.checksums import MD5, Composite, Hasher, Told, claimed, guesses, stored
from waybill.s3.same_bytes import (
    REPLACED,
    SHA256,
    SOURCE_SHA256,
    UNPROVEN,
    Verdict,
    Word,
    same_bytes,
)

PartSizes = Callable[[int], list[int] | None]  # those in bytes of that many parts, if told
Read = Callable[[Callable[[bytes], None]], None]  # feeds all bytes of a file


def by_sha256(head: dict[str, Any], sha256: str, etag: str) -> Verdict:
    """The verdict where nothing but the SHA-256 (hex) of the bytes is known; ``head`` answers a
    HEAD with checksum mode, ``etag`` is as for ``same_bytes``."""
    digest = bytes.fromhex(sha256)

    def words(told: Iterable[Told]) -> list[Word]:
        whole = (t for t in told if t.name in (SHA256, SOURCE_SHA256) and not t.parts)
        return [Word(t.name, t.digest == digest) for t in whole]

    return same_bytes(etag, next(iter(words(stored(head))), None), words(claimed(head)))


def check_file(
    head: dict[str, Any],
    size: int,
    sha256: str,
    read: Read,
    part_sizes: PartSizes,
    *,
    replaced: bool = False,
) -> Verdict:
    """The verdict on a file of ``size`` bytes with this SHA-256 (hex) and the object of that size
    which ``head``, the answer to a HEAD with checksum mode, is about. ``replaced`` tells that its
    ETag is another than a proven one.

    ``read`` feeds the bytes of the file, and is called only when they are needed: once, and once
    more where only the sizes of the parts can tell, which are then asked for.
    """

    def check(part_sizes: PartSizes) -> ObjectCheck:
        return ObjectCheck(head, size, part_sizes, sha256=sha256, replaced=lambda: replaced)

    guessed = check(lambda _: None)
    guessed.read(read)
    verdict = guessed.verdict
    if guessed.by_store or (verdict.same is False and not verdict.against):
        return verdict
    asked = check(part_sizes)
    if not asked.is_exact:
        return verdict
    asked.read(read, tried=guessed)
    return asked.verdict


class _Known:
    """A digest that needs no bytes any more."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def update(self, data: bytes) -> None:
        pass

    def digest(self) -> bytes:
        return self._digest


class _Test:
    """A checksum, and what is to have its digest. One of parts has a hasher for each of ``cuts``,
    the ways in which the object may be cut."""

    def __init__(self, told: Told, hashers: list[Hasher], cuts: list[list[int]]) -> None:
        self.name, self._digest = told.name, told.digest
        self.hashers, self.cuts = hashers, cuts

    @cached_property
    def agrees(self) -> bool:
        """To be asked after the last byte."""
        return any(hasher.digest() == self._digest for hasher in self.hashers)

    @property
    def word(self) -> Word:
        return Word(self.name, self.agrees)


class ObjectCheck:
    """Bytes as they come, held against what S3 tells in ``head``, an answer to HEAD or GET with
    checksum mode.

    ``part_sizes`` is asked for the sizes in bytes of that many parts; it may answer None. The
    bytes are those of the object itself, or with ``sha256`` (hex) those of a file. ``replaced`` is
    asked whether the object's ETag is another than a proven one. Without ``parts`` checksums of
    parts are left alone.
    """

    def __init__(
        self,
        head: dict[str, Any],
        size: int,
        part_sizes: PartSizes,
        *,
        sha256: str = "",
        replaced: Callable[[], bool] = lambda: False,
        parts: bool = True,
    ) -> None:
        self._is_file, self._replaced = bool(sha256), replaced
        self._sha256: Hasher = _Known(bytes.fromhex(sha256)) if sha256 else hashlib.sha256()
        self._store: _Test | None = None
        self._is_exact = False  # whether what differs from the store's checksum is another
        for told in stored(head):
            if not told.parts:
                self._store, self._is_exact = self._whole(told), True
            elif not parts:
                continue
            elif (sizes := _sizes(told, size, part_sizes)) is not None:
                self._store, self._is_exact = _of_parts(told, [sizes]), True
            elif self._store is None and (cuts := guesses(size, told.parts)):
                self._store = _of_parts(told, cuts)
            if self._is_exact:
                break
        # Where the store tells for certain, a claim is looked at only if it costs nothing.
        free = (SOURCE_SHA256,) if self._is_exact else (SOURCE_SHA256, MD5)
        self._claims = [self._whole(told) for told in claimed(head) if told.name in free]
        tests = [*([self._store] if self._store else []), *self._claims]
        self._hashers = [h for test in tests for h in test.hashers if h is not self._sha256]

    def _whole(self, told: Told) -> _Test:
        by_sha256 = told.name in (SHA256, SOURCE_SHA256)
        return _Test(told, [self._sha256 if by_sha256 else told.make()], [])

    @property
    def is_exact(self) -> bool:
        """Whether the store's own checksum decides, whatever the bytes are."""
        return self._is_exact

    @property
    def is_sure(self) -> bool:
        """Whether bytes that are others will be found out."""
        return self._is_exact or (bool(self._claims) and not self._replaced())

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._sha256.update(data)
        for hasher in self._hashers:
            hasher.update(data)

    def read(self, read: Read, tried: ObjectCheck | None = None) -> None:
        """Take the bytes of a file from ``read``, if they are needed; ``tried`` is a check of the
        same bytes whose guesses were all wrong."""
        store, before = self._store, tried and tried._store
        if store and before and store.name == before.name and store.cuts[0] in before.cuts:
            store.hashers.clear()  # it was one of the guesses, so they differ
        elif self._hashers:
            read(self.update)

    @property
    def sha256(self) -> str:
        """The SHA-256 in hex of all bytes so far."""
        return self._sha256.digest().hex()

    @property
    def by_store(self) -> Word | None:
        """What the store's own checksum says after the last byte."""
        store = self._store
        return store.word if store and (self._is_exact or store.agrees) else None

    @cached_property
    def verdict(self) -> Verdict:
        """What follows from all of it, to be asked after the last byte."""
        store, claims = self.by_store, [test.word for test in self._claims]
        if self._is_file:
            return same_bytes(REPLACED if self._replaced() else UNPROVEN, store, claims)
        if right := next((claim.name for claim in claims if claim.same), ""):
            return Verdict(True, right)
        if store is None and claims and self._replaced():
            return Verdict(None)
        return same_bytes(UNPROVEN, store, claims)

    @property
    def name(self) -> str:
        """What the bytes are held against; ``""`` when the object has nothing."""
        return self.verdict.by or (self._store.name if self._store else "")

    def agrees(self) -> bool | None:
        """Whether the bytes are the object's; None when there is nothing to tell by."""
        return self.verdict.same


def _sizes(told: Told, size: int, part_sizes: PartSizes) -> list[int] | None:
    """The sizes in bytes of an object's parts, if they are known."""
    sizes = [size] if told.parts == 1 else part_sizes(told.parts)
    return sizes if sizes and sum(sizes) == size else None


def _of_parts(told: Told, cuts: list[list[int]]) -> _Test:
    return _Test(told, [Composite(told.make, sizes) for sizes in cuts], cuts)
