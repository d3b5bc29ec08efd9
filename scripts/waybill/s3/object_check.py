"""The checks behind ``same_bytes``: compares the bytes of a file or of a download with the
checksums in an answer of S3 about an object."""

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

PartSizes = Callable[[int], list[int] | None]  # sizes in bytes of so many parts, or None
Read = Callable[[Callable[[bytes], None]], None]  # feeds all bytes of a file


def by_sha256(head: dict[str, Any], sha256: str, etag: str) -> Verdict:
    """The verdict when only the SHA-256 (hex) of the bytes is known. ``head`` is the answer to a
    HEAD with checksum mode; ``etag`` is as in ``same_bytes``."""
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
    md5_etags: bool = True,
) -> Verdict:
    """The verdict on a file and an object that both have ``size`` bytes. The file has this SHA-256
    (hex). ``head`` is the answer to a HEAD of the object with checksum mode. ``replaced`` means
    that another ETag was proven for the object. Without ``md5_etags``, ETags are no MD5s.

    ``read`` feeds the bytes of the file. It is called only when the bytes are needed. It is called
    once more when only the sizes of the parts can decide; ``part_sizes`` then requests them.
    """

    def check(part_sizes: PartSizes) -> ObjectCheck:
        return ObjectCheck(
            head,
            size,
            part_sizes,
            sha256=sha256,
            replaced=lambda: replaced,
            md5_etags=md5_etags,
        )

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
    """A hasher whose digest is known already."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def update(self, data: bytes) -> None:
        pass

    def digest(self) -> bytes:
        return self._digest


class _Test:
    """A checksum, and the hashers that may give its digest. A checksum of parts has one hasher for
    each of ``cuts``, the ways in which the object may be cut."""

    def __init__(self, told: Told, hashers: list[Hasher], cuts: list[list[int]]) -> None:
        self.name, self._digest = told.name, told.digest
        self.hashers, self.cuts = hashers, cuts

    @cached_property
    def agrees(self) -> bool:
        """Whether any hasher has the digest. Read it after the last byte."""
        return any(hasher.digest() == self._digest for hasher in self.hashers)

    @property
    def word(self) -> Word:
        return Word(self.name, self.agrees)


class ObjectCheck:
    """Compares bytes, as they come, with the checksums in ``head``, an answer to HEAD or GET with
    checksum mode.

    The bytes are those of the object itself; with ``sha256`` (hex) they are those of a file.
    ``part_sizes`` returns the sizes in bytes of a number of parts, or None. ``replaced`` returns
    whether another ETag was proven for the object. Without ``parts``, checksums of parts are not
    used. Without ``md5_etags``, ETags are no MD5s.
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
        md5_etags: bool = True,
    ) -> None:
        self._is_file, self._replaced = bool(sha256), replaced
        self._sha256: Hasher = _Known(bytes.fromhex(sha256)) if sha256 else hashlib.sha256()
        self._store: _Test | None = None
        self._is_exact = False  # whether a difference from the store's checksum is proof
        for told in stored(head, md5_etags=md5_etags):
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
        # Where the store's checksum decides, a claim is checked only if it costs nothing.
        free = (SOURCE_SHA256,) if self._is_exact else (SOURCE_SHA256, MD5)
        self._claims = [self._whole(told) for told in claimed(head) if told.name in free]
        tests = [*([self._store] if self._store else []), *self._claims]
        self._hashers = [h for test in tests for h in test.hashers if h is not self._sha256]

    def _whole(self, told: Told) -> _Test:
        by_sha256 = told.name in (SHA256, SOURCE_SHA256)
        return _Test(told, [self._sha256 if by_sha256 else told.make()], [])

    @property
    def is_exact(self) -> bool:
        """Whether the store's own checksum decides in every case."""
        return self._is_exact

    @property
    def is_sure(self) -> bool:
        """Whether wrong bytes are certain to be detected."""
        return self._is_exact or (bool(self._claims) and not self._replaced())

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._sha256.update(data)
        for hasher in self._hashers:
            hasher.update(data)

    def read(self, read: Read, tried: ObjectCheck | None = None) -> None:
        """Take the bytes of a file from ``read``, if they are needed; ``tried`` is a check of the
        same bytes whose guesses were all wrong."""
        store, before = self._store, tried and tried._store
        if store and before and store.name == before.name and store.cuts[0] in before.cuts:
            store.hashers.clear()  # these sizes were guessed before: the bytes differ
        elif self._hashers:
            read(self.update)

    @property
    def sha256(self) -> str:
        """The SHA-256 in hex of all bytes so far."""
        return self._sha256.digest().hex()

    @property
    def by_store(self) -> Word | None:
        """Whether the store's own checksum agrees, after the last byte; None when a checksum of
        guessed parts does not, because that proves nothing."""
        store = self._store
        return store.word if store and (self._is_exact or store.agrees) else None

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict by all checksums. Read it after the last byte."""
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
        """The checksum that the bytes are compared with; ``""`` when the object has none."""
        return self.verdict.by or (self._store.name if self._store else "")

    def agrees(self) -> bool | None:
        """Whether the bytes are those of the object; None when no checksum decides."""
        return self.verdict.same


def _sizes(told: Told, size: int, part_sizes: PartSizes) -> list[int] | None:
    """The sizes in bytes of an object's parts, if they are known."""
    sizes = [size] if told.parts == 1 else part_sizes(told.parts)
    return sizes if sizes and sum(sizes) == size else None


def _of_parts(told: Told, cuts: list[list[int]]) -> _Test:
    return _Test(told, [Composite(told.make, sizes) for sizes in cuts], cuts)
