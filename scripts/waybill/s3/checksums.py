"""The checksums of an object in an answer to HEAD or GET, and how each is computed.

The store computes checksums of the whole object, checksums of the checksums of its parts, and an
ETag that may be an MD5 (S3 API, "Checking object integrity"). The writer of an object may claim
others in user metadata: ``md5chksum`` (rclone) and ``source-sha256`` (Waybill, hca-smart-sync).
``s3.same_bytes`` decides between them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from awscrt import checksums as crt

from waybill.s3.parts import part_size
from waybill.s3.same_bytes import SHA256, SOURCE_SHA256

MIB = 1 << 20

# Part sizes that other tools use, for stores that do not tell how an object was cut.
_USUAL_PART_BYTES = [n * MIB for n in (8, 5, 50, 16, 10, 15, 20, 25, 32, 64, 100, 128, 256, 512)]
MOST_GUESSES = 4

MD5, MD5_ETAG = "MD5", "MD5 ETag"  # their names in messages

# Stores whose ETags are no MD5 (S3 API, "Object"): directory buckets, access points of FSx.
_OTHER_ETAGS = ("EXPRESS_ONEZONE", "FSX_")

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


class _XxHash:
    def __init__(self, kind: str) -> None:
        self._hash = getattr(crt.XXHash, f"new_{kind}")()
        self.update: Callable[[bytes], None] = self._hash.update
        self.digest: Callable[[], bytes] = self._hash.finalize  # may be called once


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


# By the name in S3's headers, the strongest first.
_NATIVE: dict[str, tuple[Callable[[], Hasher], int]] = {
    SHA256: (hashlib.sha256, 32),
    "SHA512": (hashlib.sha512, 64),
    "SHA1": (lambda: hashlib.sha1(usedforsecurity=False), 20),
    MD5: (_md5, 16),
    "XXHASH128": (lambda: _XxHash("xxhash3_128"), 16),
    "XXHASH3": (lambda: _XxHash("xxhash3_64"), 8),
    "XXHASH64": (lambda: _XxHash("xxhash64"), 8),
    "CRC64NVME": (lambda: _Crc(crt.crc64nvme, 8), 8),
    "CRC32C": (lambda: _Crc(crt.crc32c, 4), 4),
    "CRC32": (lambda: _Crc(zlib.crc32, 4), 4),
}

# The same by the member of an answer.
_MEMBERS = {f"Checksum{name}": (name, make, width) for name, (make, width) in _NATIVE.items()}


class Composite:
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


class Told(NamedTuple):
    """One checksum of an object. ``parts`` is the number of parts for a checksum of parts, and 0
    for a checksum of the whole object."""

    name: str
    make: Callable[[], Hasher]
    digest: bytes
    parts: int = 0


def metadata_sha256(head: dict[str, Any]) -> str:
    """The whole-file SHA-256 in an object's user metadata, in hex, or ``""``.

    User metadata keys come back in any case, so they are compared without it.
    """
    for name, value in head.get("Metadata", {}).items():
        if name.lower() == SOURCE_SHA256 and _SHA256.fullmatch(str(value).lower()):
            return str(value).lower()
    return ""


def stored(head: dict[str, Any], *, md5_etags: bool = True) -> list[Told]:
    """The checksums that the store computed: first those of the whole object, then those of its
    parts, each with the strongest first. Malformed values are left out, and so is the ETag without
    ``md5_etags``."""
    etag = _ETAG.fullmatch(head.get("ETag", "").strip('"'))
    # For an object in parts S3 says which kind its checksums are; not every store does.
    kind = head.get("ChecksumType", "" if etag and etag[2] else "FULL_OBJECT")
    found = []
    for member in _MEMBERS if not _MEMBERS.keys().isdisjoint(head) else ():
        name, make, width = _MEMBERS[member]
        match = _CHECKSUM.fullmatch(head.get(member, ""))
        if match and (match[2] or kind == "FULL_OBJECT") and (d := _digest(match[1], width)):
            found.append(Told(name, make, d, int(match[2] or 0)))
    if etag and md5_etags and _is_md5(head):
        found.append(Told(MD5_ETAG, _md5, bytes.fromhex(etag[1]), int(etag[2] or 0)))
    return sorted(found, key=lambda told: bool(told.parts))


def claimed(head: dict[str, Any]) -> Iterator[Told]:
    """The checksums that the writer of the object put into its metadata."""
    if sha256 := metadata_sha256(head):
        yield Told(SOURCE_SHA256, hashlib.sha256, bytes.fromhex(sha256))
    for name, value in head.get("Metadata", {}).items():
        if name.lower() == "md5chksum" and (digest := _digest(str(value), 16)):
            yield Told(MD5, _md5, digest)


def _is_md5(head: dict[str, Any]) -> bool:
    """Whether an ETag that looks like an MD5 is one."""
    kms = str(head.get("ServerSideEncryption", "")).startswith("aws:kms")
    elsewhere = str(head.get("StorageClass", "")).startswith(_OTHER_ETAGS)
    return not (kms or elsewhere or "SSECustomerAlgorithm" in head)


def _digest(text: str, width: int) -> bytes:
    """The digest in base64 ``text``; ``b""`` when it does not have ``width`` bytes."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return digest if len(digest) == width else b""


def guesses(size: int, count: int) -> list[list[int]]:
    """The ways in which Waybill or a usual tool may have cut an object of ``size`` bytes into
    ``count`` parts, at most ``MOST_GUESSES``. Each is a list of the sizes of the parts in bytes."""
    lengths = dict.fromkeys([part_size(size), *_USUAL_PART_BYTES])
    fitting = [length for length in lengths if -(-size // length) == count]
    cuts = [[length] * (count - 1) + [size - length * (count - 1)] for length in fitting]
    return cuts[:MOST_GUESSES]
