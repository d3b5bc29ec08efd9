"""Reading a file's bytes so that what was read is what the inventory saw."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waybill.entries import LocalEntry
from waybill.errors import EntryError

BLOCK_BYTES = 1 << 20


@contextmanager
def opened(folder: Path, entry: LocalEntry) -> Iterator[int]:
    """A file descriptor of the entry, for as long as the file stays what the inventory saw.

    Size and mtime are compared when the file is opened and again when the block ends: a file
    that changed meanwhile raises EntryError, and so does one that vanished or cannot be read.
    """
    descriptor = _open(folder, entry)
    try:
        _check(descriptor, entry)
        yield descriptor
        _check(descriptor, entry)
    finally:
        os.close(descriptor)


def read_small(folder: Path, entry: LocalEntry) -> bytes:
    """All bytes of a small file, if it is, right after they were read, what the inventory saw.
    Raises EntryError as ``opened`` does."""
    descriptor = _open(folder, entry)
    try:
        try:
            data = _read(descriptor, entry.path, entry.size, 0)
        finally:
            _check(descriptor, entry)  # which is what failed when it is no file any more
        if len(data) == entry.size:
            return data
        data = read_range(descriptor, entry.path, 0, entry.size)
        _check(descriptor, entry)
        return data
    finally:
        os.close(descriptor)


def read_range(descriptor: int, path: str, start: int, length: int) -> bytes:
    """Exactly ``length`` bytes from ``start``; EntryError when the file has become shorter."""
    data = _read(descriptor, path, length, start)
    if len(data) == length:
        return data
    blocks = [data]
    missing = length - len(data)
    while missing:
        data = _read(descriptor, path, missing, start + length - missing)
        if not data:
            raise EntryError(path, "became shorter while it was read; run again")
        blocks.append(data)
        missing -= len(data)
    return b"".join(blocks)


def sha256_of(
    folder: Path, entry: LocalEntry, each: Callable[[int, bytes], None] | None = None
) -> str:
    """The SHA-256 of the entry in hex, read once; ``each`` is told where a block starts, and the
    block. Raises EntryError as ``opened`` does."""
    with opened(folder, entry) as descriptor:
        digest = hashlib.sha256()
        start = 0
        while block := _read(descriptor, entry.path, BLOCK_BYTES, start):
            digest.update(block)
            if each is not None:
                each(start, block)
            start += len(block)
        if start != entry.size:
            raise EntryError(entry.path, "changed while it was read; run again")
        return digest.hexdigest()


def _open(folder: Path, entry: LocalEntry) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that took its place must not block
    try:
        return os.open(f"{folder}/{entry.path}", flags)
    except OSError as error:
        raise EntryError(entry.path, _reason(error)) from None


def _read(descriptor: int, path: str, length: int, start: int) -> bytes:
    try:
        return os.pread(descriptor, length, start)
    except OSError as error:
        raise EntryError(path, _reason(error)) from None


def _check(descriptor: int, entry: LocalEntry) -> None:
    try:
        status = os.fstat(descriptor)
    except OSError as error:  # a file server may have lost it
        raise EntryError(entry.path, _reason(error)) from None
    if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
        raise EntryError(entry.path, "changed since the inventory looked at it; run again")


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished since the inventory looked at it; run again"
    if isinstance(error, PermissionError):
        return "cannot be read: Permission denied; give read permission and run again"
    return f"cannot be read: {error.strerror or error}"
