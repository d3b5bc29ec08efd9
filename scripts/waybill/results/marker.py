"""Markers: the proofs of a batch, written in one step when every entry has one.

``markers/{dataset}/{batch}.tsv``: ``path``, ``key``, ``size`` bytes, ``mtime_ns`` of the file,
``sha256`` hex (empty where ``compare`` looked at size or time only), ``etag`` without quotes,
``version_id`` or empty, ``time`` (UTC, ISO 8601) when the object was written; for an object that
was there already, when it was last modified; ``inode`` of the file, 0 for a folder. Revisions up to
81c658d and some later ones wrote no ``inode``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from waybill.model.escaping import escape, unescape
from waybill.system import tsv
from waybill.system.files import write_atomic

COLUMNS = ("path", "key", "size", "mtime_ns", "sha256", "etag", "version_id", "time", "inode")


class Proof(NamedTuple):
    """One proven entry: sizes in bytes, ``mtime_ns`` and ``inode`` of the file (0: not noted),
    ``time`` in UTC ISO 8601."""

    path: str
    key: str
    size: int
    mtime_ns: int
    sha256: str
    etag: str
    version_id: str
    time: str
    inode: int = 0

    def is_of(self, size: int, mtime_ns: int, inode: int) -> bool:
        """Whether a file with this size (bytes), mtime (ns) and inode is the one that was proven.
        A file with another inode was written anew, and size and mtime do not tell by whom."""
        same = (size, mtime_ns) == (self.size, self.mtime_ns)
        return same and self.inode in (0, inode)


def render(proofs: list[Proof]) -> bytes:
    """The bytes of a marker."""
    return tsv.render(
        COLUMNS,
        (
            "\t".join(
                (escape(p.path), escape(p.key), str(p.size), str(p.mtime_ns), p.sha256,
                 escape(p.etag), escape(p.version_id), p.time, str(p.inode))
            )
            for p in proofs
        ),
    )  # fmt: skip


def write(path: Path, proofs: list[Proof]) -> None:
    """Write a marker. Its bytes are on disk before the file gets its name."""
    write_atomic(path, render(proofs), sync=True)


def _proof(r: list[str]) -> Proof:
    return Proof(
        unescape(r[0]), unescape(r[1]), int(r[2]), int(r[3]), r[4], unescape(r[5]), unescape(r[6]),
        r[7], int(r[8]) if len(r) > 8 else 0,
    )  # fmt: skip


def read(path: Path) -> Iterator[Proof]:
    """The proofs of a marker. Raises DamagedError when the marker is damaged."""
    return tsv.read(path, COLUMNS, _proof, added=1)


def read_if_any(path: Path) -> Iterator[Proof]:
    """The proofs of a marker; none when there is no such file."""
    if path.exists():
        yield from read(path)
