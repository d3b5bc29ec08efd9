"""The tables of one batch: its entries on both sides, their differences, and cached hashes.

``inventory/{dataset}/{batch}.local.tsv``
    ``path`` relative to the dataset, ``size`` bytes, ``mtime_ns`` ns since the epoch, ``inode``
``inventory/{dataset}/{batch}.remote.tsv``
    ``path``, ``size`` bytes, ``mtime_ns`` (the object's LastModified), ``etag`` without quotes,
    ``sha256`` hex where it is known without a request, else empty; a ``-`` in front of it means
    that the proof at this path is of another object
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from waybill.model.difference import KEEP, MOVE, REFUSE, Difference
from waybill.model.entries import Checksums, LocalEntry, RemoteEntry
from waybill.model.escaping import escape, unescape
from waybill.results.layout import Layout
from waybill.system.tsv import read, render

LOCAL_COLUMNS = ("path", "size", "mtime_ns", "inode")


REMOTE_COLUMNS = ("path", "size", "mtime_ns", "etag", "sha256")


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
    """The entries of a local table. Raises DamagedError when the table is damaged."""

    def entry(r: list[str]) -> LocalEntry:
        return LocalEntry(unescape(r[0]), int(r[1]), int(r[2]), int(r[3]))

    return list(read(path, LOCAL_COLUMNS, entry))


def read_remote(path: Path) -> list[RemoteEntry]:
    """The entries of a remote table. Raises DamagedError when the table is damaged."""

    def entry(r: list[str]) -> RemoteEntry:
        return RemoteEntry(
            unescape(r[0]), int(r[1]), int(r[2]), unescape(r[3]),
            r[4].removeprefix(_REPLACED), r[4].startswith(_REPLACED),
        )  # fmt: skip

    return list(read(path, REMOTE_COLUMNS, entry))


def batch_of(layout: Layout, dataset: str, path: str, direction: str) -> str | None:
    """The batch that moves the file at ``path`` of a dataset; None when no batch does. Raises
    DamagedError when a table is damaged."""
    table, entries = (
        (layout.local, read_local) if direction == "upload" else (layout.remote, read_remote)
    )
    if not layout.tables(dataset).is_dir():
        return None
    for batch in layout.batches_of(dataset):
        if any(entry.path == path for entry in entries(table(dataset, batch))):
            return batch
    return None


DIFF_COLUMNS = (
    "status", "action", "path", "size", "mtime_ns", "inode", "sha256", "etag", "time", "reason",
)  # fmt: skip


def render_diff(differences: Iterator[Difference]) -> bytes:
    """The bytes of a diff table."""
    return render(
        DIFF_COLUMNS,
        (
            "\t".join(
                (d[0], d[1], escape(d[2]), str(d[3]), str(d[4]), str(d[5]), d[6], escape(d[7]),
                 d[8], escape(d[9]))
            )
            for d in differences
        ),
    )  # fmt: skip


def read_diff(path: Path) -> Iterator[Difference]:
    """The differences of a diff table. Raises DamagedError when the table is damaged."""
    return read(path, DIFF_COLUMNS, _difference)


def _difference(r: list[str]) -> Difference:
    if r[1] not in (KEEP, MOVE, REFUSE):
        raise ValueError(f"no action: {r[1]!r}")
    if r[8]:
        int(r[8])
    return Difference(
        r[0], r[1], unescape(r[2]), int(r[3]), int(r[4]), int(r[5]), r[6], unescape(r[7]), r[8],
        unescape(r[9]),
    )  # fmt: skip


CACHE_COLUMNS = ("path", "size", "mtime_ns", "inode", "sha256", "crc64nvme")


def read_cache(path: Path) -> list[tuple[LocalEntry, Checksums]]:
    """The entries of a cache, each with its checksums. A cache of an earlier version has no
    CRC-64/NVME. Raises DamagedError when any line of the cache is damaged."""

    def entry(r: list[str]) -> tuple[LocalEntry, Checksums]:
        int("".join(r[5:]) or "0", 16)
        return LocalEntry(unescape(r[0]), int(r[1]), int(r[2]), int(r[3])), Checksums(*r[4:])

    return list(read(path, CACHE_COLUMNS, entry, added=1))


# inventory/{dataset}.aside.tsv lists the entries that are in no batch.
ASIDE_COLUMNS = ("status", "path", "size", "reason")


PLAN_COLUMNS = (
    "dataset", "status", "action", "path", "size", "mtime_ns", "sha256", "reason",
)  # fmt: skip


SUMMARY_COLUMNS = ("dataset", "status", "files", "bytes")
