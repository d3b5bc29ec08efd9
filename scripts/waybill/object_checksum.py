"""What S3 says about the bytes of an object, and the check of bytes against it.

The strongest that the object has is used: ``source-sha256`` metadata, then its native checksums
(S3 API, "Checking object integrity"; full-object, or composite and rebuilt from the parts), then
its ETag where that is an MD5, or an MD5 of the parts' MD5s.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from awscrt import checksums as crt

from waybill.compare import metadata_sha256

MIB = 1 << 20

# Part sizes that other tools use, for stores that do not tell how an object was cut.
_USUAL_PART_BYTES = [n * MIB for n in (8, 5, 50, 16, 10, 15, 20, 25, 32, 64, 100, 128, 256, 512)]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9]\d*))?")
_CHECKSUM = re.compile(r"([0-9A-Za-z+/]+={0,2})(?:-([1-9]\d*))?")


class Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], width: int) -> None:
        self._function, self._width, self._value = function, width, 0

    def update(self, data: bytes) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


# By the name in S3's headers, the strongest first.
_NATIVE: dict[str, Callable[[], Hasher]] = {
    "SHA256": hashlib.sha256,
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC32": lambda: _Crc(zlib.crc32, 4),
}


class _Composite:
    """The checksum of the checksums of parts of the given ``sizes`` in bytes."""

    def __init__(self, make: Callable[[], Hasher], sizes: Sequence[int]) -> None:
        self._make = make
        self._sizes = iter(sizes)
        self._all = make()
        self._left = next(self._sizes)
        self._part = make()

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while len(view) > self._left:
            self._part.update(bytes(view[: self._left]))
            view = view[self._left :]
            self._all.update(self._part.digest())
            self._left, self._part = next(self._sizes), self._make()
        self._part.update(bytes(view))
        self._left -= len(view)

    def digest(self) -> bytes:
        self._all.update(self._part.digest())
        return self._all.digest()


class _Wanted(NamedTuple):
    """One checksum of an object; ``parts`` is their number when it is one of the parts'."""

    name: str
    make: Callable[[], Hasher]
    digest: bytes
    parts: int = 0


def _wanted(head: dict[str, Any]) -> Iterator[_Wanted]:
    """The checksums that an answer to HEAD or GET tells, the strongest first. What has not the
    form of one is no checksum."""
    sha256 = metadata_sha256(head)
    if _SHA256.fullmatch(sha256):
        yield _Wanted("source-sha256", hashlib.sha256, bytes.fromhex(sha256))
    etag = _ETAG.fullmatch(head.get("ETag", "").strip('"'))
    in_parts = etag is not None and etag[2] is not None
    # S3 tells of an object in parts which kind it is; not every store does.
    kind = head.get("ChecksumType", "" if in_parts else "FULL_OBJECT")
    for composite in (False, True):
        for name, make in _NATIVE.items():
            found = _CHECKSUM.fullmatch(head.get(f"Checksum{name}", ""))
            if found is None or bool(found[2]) != composite:
                continue
            if (composite or kind == "FULL_OBJECT") and (digest := _digest(found[1], make)):
                yield _Wanted(name, make, digest, int(found[2] or 0))
    for name, value in head.get("Metadata", {}).items():
        # rclone's, on what it sends in parts
        if name.lower() == "md5chksum" and (digest := _digest(value, _md5)):
            yield _Wanted("MD5", _md5, digest)
    kms = str(head.get("ServerSideEncryption", "")).startswith("aws:kms")
    if etag and not kms and "SSECustomerAlgorithm" not in head:
        yield _Wanted("MD5 ETag", _md5, bytes.fromhex(etag[1]), int(etag[2] or 0))


def _digest(text: str, make: Callable[[], Hasher]) -> bytes:
    """The digest that is written in base64, or nothing when it cannot be one of this kind."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return digest if len(digest) == len(make().digest()) else b""


class ObjectCheck:
    """Bytes as they come, held against the strongest checksum that S3 tells in ``head``.

    ``head`` is an answer to HEAD or GET with checksum mode. ``part_sizes`` is asked for the sizes
    in bytes of that many parts; it may answer None. ``name`` is what the bytes are held against,
    ``""`` when the object has nothing; ``sha256`` is theirs in any case.
    """

    def __init__(
        self, head: dict[str, Any], size: int, part_sizes: Callable[[int], list[int] | None]
    ) -> None:
        self._sha256 = hashlib.sha256()
        self._hashers: list[Hasher] = []
        self._sure = True  # that what differs is damaged
        self.name, self._digest = "", b""
        guessed: list[_Wanted] = []
        for wanted in _wanted(head):
            if not wanted.parts:
                same = wanted.make is hashlib.sha256
                self._hashers = [] if same else [wanted.make()]
            elif (sizes := part_sizes(wanted.parts)) and sum(sizes) == size:
                self._hashers = [_Composite(wanted.make, sizes)]
            else:
                guessed.append(wanted)
                continue
            self.name, self._digest = wanted.name, wanted.digest
            return
        for wanted in guessed:
            if guesses := _guesses(size, wanted.parts):
                self._hashers = [_Composite(wanted.make, guess) for guess in guesses]
                self._sure = False
                self.name, self._digest = wanted.name, wanted.digest
                return

    @property
    def is_sure(self) -> bool:
        """Whether ``agrees`` will tell for certain."""
        return bool(self.name) and self._sure

    def update(self, data: bytes) -> None:
        """The next bytes of the object."""
        self._sha256.update(data)
        for hasher in self._hashers:
            hasher.update(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 in hex of all bytes so far."""
        return self._sha256.hexdigest()

    def agrees(self) -> bool | None:
        """Whether the bytes are the object's; None when there is nothing to tell by. To be asked
        once, after the last byte."""
        if not self.name:
            return None
        if not self._hashers:
            return self._sha256.digest() == self._digest
        if any(hasher.digest() == self._digest for hasher in self._hashers):
            return True
        return False if self._sure else None


def _guesses(size: int, count: int) -> list[list[int]]:
    """How an object of ``size`` bytes may have been cut into ``count`` parts by a usual tool."""
    found = []
    for length in _USUAL_PART_BYTES:
        if -(-size // length) == count:
            found.append([length] * (count - 1) + [size - length * (count - 1)])
    return found[:4]
