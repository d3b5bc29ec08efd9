"""Reads the bytes of a file, and makes sure that the file is still what the inventory saw."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waybill.model.entries import LocalEntry
from waybill.model.errors import EntryError
from waybill.system.meter import METER
from waybill.system.root import LinkError, Root

BLOCK_BYTES = 1 << 20

# A pipe that took the file's place must not block.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

_NO_SIZE = "; no size to rely on: copy it to a regular file, or exclude it"


@contextmanager
def opened(folder: Path | Root, entry: LocalEntry) -> Iterator[int]:
    """A file descriptor of the entry, for as long as the file stays what the inventory saw.

    ``folder`` is the root of the dataset. If it is a path, links below it are followed; a Root
    decides that itself. Size and mtime are compared when the file is opened, and again when the
    block ends; then the file must also end where its size says. Raises EntryError when the file has
    changed, has vanished or cannot be read. The inode is not compared: some file systems (sshfs,
    CIFS with noserverino) have another inode for the same file on each machine.
    """
    with _held(folder, entry) as descriptor:
        yield descriptor
        if _read(descriptor, entry.path, 1, entry.size):
            raise _longer(descriptor, entry)


@contextmanager
def _held(folder: Path | Root, entry: LocalEntry) -> Iterator[int]:
    descriptor = _open(folder, entry)
    try:
        _check(descriptor, entry)
        yield descriptor
        _check(descriptor, entry)
    finally:
        os.close(descriptor)


def read_small(folder: Path | Root, entry: LocalEntry) -> bytes:
    """All bytes of a small file. Right after the read, the file must still be what the inventory
    saw. Raises EntryError as ``opened`` does."""
    descriptor = _open(folder, entry)
    try:
        try:
            # One byte more than there should be, to find out if the file is longer than its size.
            data = _read(descriptor, entry.path, entry.size + 1, 0)
        finally:
            _check(descriptor, entry)  # its error counts before that of the read
        if len(data) == entry.size:
            return data
        if len(data) < entry.size:
            data = read_range(descriptor, entry.path, 0, entry.size)
            longer = _read(descriptor, entry.path, 1, entry.size)
            _check(descriptor, entry)
            if not longer:
                return data
        raise _longer(descriptor, entry)
    finally:
        os.close(descriptor)


def read_range(descriptor: int, path: str, start: int, length: int) -> bytes:
    """Exactly ``length`` bytes from ``start``; EntryError when the file ends before."""
    data = _read(descriptor, path, length, start)
    if len(data) == length:
        return data
    blocks = [data]
    missing = length - len(data)
    while missing:
        data = _read(descriptor, path, missing, start + length - missing)
        if not data:
            raise _shorter(descriptor, path, start + length - missing)
        blocks.append(data)
        missing -= len(data)
    return b"".join(blocks)


def sha256_of(
    folder: Path | Root, entry: LocalEntry, each: Callable[[int, bytes], None] | None = None
) -> str:
    """The SHA-256 (hex) of the entry, which is read once. ``each`` gets the start of each block,
    and the block. Raises EntryError as ``opened`` does."""
    with _held(folder, entry) as descriptor:
        digest = hashlib.sha256()
        start = 0
        while block := _read(descriptor, entry.path, BLOCK_BYTES, start):
            if start + len(block) > entry.size:
                raise _longer(descriptor, entry)
            digest.update(block)
            METER.hash(len(block))
            if each is not None:
                each(start, block)
            start += len(block)
        if start != entry.size:
            raise _shorter(descriptor, entry.path, start)
        return digest.hexdigest()


def _open(folder: Path | Root, entry: LocalEntry) -> int:
    root = folder if isinstance(folder, Root) else Root(folder)
    try:
        return root.open(entry.path, _FLAGS)
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


def _longer(descriptor: int, entry: LocalEntry) -> EntryError:
    if os.fstat(descriptor).st_size != entry.size:
        return EntryError(entry.path, "changed while it was read; run again")
    return EntryError(entry.path, f"holds more than the {entry.size} bytes of its size{_NO_SIZE}")


def _shorter(descriptor: int, path: str, length: int) -> EntryError:
    size = os.fstat(descriptor).st_size
    if size <= length:
        return EntryError(path, "became shorter while it was read; run again")
    return EntryError(path, f"holds {length} bytes, its size says {size}{_NO_SIZE}")


def _reason(error: OSError) -> str:
    if isinstance(error, LinkError):
        link = error.filename
        return f"{link} is a symbolic link since the inventory looked at it; run again"
    if isinstance(error, FileNotFoundError):
        return "vanished since the inventory looked at it; run again"
    if isinstance(error, PermissionError):
        return "cannot be read: Permission denied; give read permission and run again"
    return f"cannot be read: {error.strerror or error}"
