"""Entries: one file or one object each."""

from __future__ import annotations

from typing import NamedTuple


class LocalEntry(NamedTuple):
    """One file: path relative to its dataset, size in bytes, mtime in ns, inode."""

    path: str
    size: int
    mtime_ns: int
    inode: int


class RemoteEntry(NamedTuple):
    """One object: path relative to the destination prefix, size in bytes, LastModified in ns,
    etag without quotes, SHA-256 in hex when it is known, else ``""``. ``replaced`` means that
    another ETag was proven at this path."""

    path: str
    size: int
    mtime_ns: int
    etag: str
    sha256: str = ""
    replaced: bool = False


class Checksums(NamedTuple):
    """What one read of a file gave: SHA-256 in hex, and CRC-64/NVME in 16 hex digits, or ``""``
    where it was not computed."""

    sha256: str
    crc64nvme: str = ""
