"""Entries: one file or object each, and how both sides of one differ."""

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
    etag without quotes, SHA-256 in hex when it is known, else ``""``. ``replaced`` tells that its
    ETag is another than the one that was proven at this path."""

    path: str
    size: int
    mtime_ns: int
    etag: str
    sha256: str = ""
    replaced: bool = False
