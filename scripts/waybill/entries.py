"""Entries: one file or object each, and the inventory tables that hold them.

Local table, ``inventory/{dataset}/{batch}.local.tsv``
    ``path`` relative to the dataset, ``size`` bytes, ``mtime_ns`` ns since the epoch, ``inode``
Remote table, ``inventory/{dataset}/{batch}.remote.tsv``
    ``path``, ``size`` bytes, ``mtime_ns`` (the object's LastModified), ``etag`` without quotes,
    ``sha256`` hex, known without a request, or empty; with ``-`` in front where another object
    than this one was proven at its path
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from waybill.tables import escape, read, render, unescape

LOCAL_COLUMNS = ("path", "size", "mtime_ns", "inode")
REMOTE_COLUMNS = ("path", "size", "mtime_ns", "etag", "sha256")


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


_REPLACED = "-"  # in front of a SHA-256


def render_local(entries: Iterable[LocalEntry]) -> bytes:
    """The bytes of a local table."""
    return render(LOCAL_COLUMNS, (f"{escape(e[0])}\t{e[1]}\t{e[2]}\t{e[3]}" for e in entries))


def render_remote(entries: Iterable[RemoteEntry]) -> bytes:
    """The bytes of a remote table."""
    return render(
        REMOTE_COLUMNS,
        (
            f"{escape(e[0])}\t{e[1]}\t{e[2]}\t{escape(e[3])}\t{_REPLACED if e[5] else ''}{e[4]}"
            for e in entries
        ),
    )


def read_local(path: Path) -> list[LocalEntry]:
    """The entries of a local table. Raises DamagedError for one that is not as it was written."""

    def entry(r: list[str]) -> LocalEntry:
        return LocalEntry(unescape(r[0]), int(r[1]), int(r[2]), int(r[3]))

    return list(read(path, LOCAL_COLUMNS, entry))


def read_remote(path: Path) -> list[RemoteEntry]:
    """The entries of a remote table. Raises DamagedError for one that is not as it was written."""

    def entry(r: list[str]) -> RemoteEntry:
        return RemoteEntry(
            unescape(r[0]), int(r[1]), int(r[2]), unescape(r[3]),
            r[4].removeprefix(_REPLACED), r[4].startswith(_REPLACED),
        )  # fmt: skip

    return list(read(path, REMOTE_COLUMNS, entry))
