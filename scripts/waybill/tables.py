"""Tables: tab-separated, UTF-8, one header line, names escaped, written whole or not at all.

A value never holds a raw tab, newline or carriage return: they stand as ``\\t``, ``\\n``,
``\\r``, a backslash as ``\\\\``, a byte that is not UTF-8 as ``\\xNN`` with NN from 80 on, another
control character as ``\\xNN`` with NN below 80 or as ``\\uNNNN``, and so do the characters that
order a terminal to break a line or to turn its direction. Read such a table with
``pandas.read_csv(..., sep="\\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from waybill.errors import DamagedError

_T = TypeVar("_T")

# The table of what is in no batch, inventory/{dataset}.aside.tsv.
ASIDE_COLUMNS = ("status", "path", "size", "reason")

# Controls (C0, DEL, C1), what breaks lines or turns their direction, and bytes that are not UTF-8.
_UNSAFE = re.compile(
    "[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]"
)
_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))", re.DOTALL)
_UNESCAPE = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def _escape_one(match: re.Match[str]) -> str:
    char = match.group()
    if char in _ESCAPE:
        return _ESCAPE[char]
    code = ord(char)
    if code >= 0xDC80 and code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescape_one(match: re.Match[str]) -> str:
    byte, code, char = match.groups()
    if byte:
        number = int(byte, 16)
        return chr(number if number < 0x80 else 0xDC00 + number)
    return chr(int(code, 16)) if code else _UNESCAPE.get(char, match.group())


def escape(text: str) -> str:
    """``text`` as it stands in a table or on a screen; ``unescape`` gives it back."""
    return _UNSAFE.sub(_escape_one, text) if _UNSAFE.search(text) else text


def unescape(text: str) -> str:
    """The text that ``escape`` made ``text`` from."""
    return _ESCAPED.sub(_unescape_one, text) if "\\" in text else text


def rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """The rows of a table, as lists of raw (still escaped) strings in the order of ``columns``.

    Raises DamagedError, which names file and line, when the header is not ``columns``, a row has
    another width or no end, or the bytes are no UTF-8.
    """
    return read(path, columns, lambda row: row)


def read(path: Path, columns: Sequence[str], make: Callable[[list[str]], _T]) -> Iterator[_T]:
    """What ``make`` makes of each row of a table, as ``rows`` has it. A row that ``make`` cannot
    take (ValueError) is damaged, too."""
    width, number = len(columns), 1
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            if file.readline() != "\t".join(columns) + "\n":
                raise DamagedError(path, "not a table of this version")
            for line in file:
                number += 1
                row = line.rstrip("\n").split("\t")
                if len(row) != width or line[-1] != "\n":
                    raise DamagedError(path, "a row is cut or too long", line=number)
                yield make(row)
        except UnicodeDecodeError:
            raise DamagedError(path, "its bytes are not UTF-8") from None
        except ValueError as error:
            raise DamagedError(path, str(error), line=number) from None


def render(columns: Sequence[str], lines: Iterable[str]) -> bytes:
    """The bytes of a table from its header and its ready-made row lines."""
    return ("\t".join(columns) + "\n" + "".join(f"{line}\n" for line in lines)).encode()


def write_atomic(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    sync: bool = False,
    before: Callable[[str], None] | None = None,
) -> None:
    """Put ``data`` at ``path`` in one step: readers see the old file or the whole new one.

    The temporary name is unique to the process, so the same job run twice at once stays right.
    ``sync`` asks the file system to have the bytes on disk before the rename; ``before`` is called
    with their SHA-256 (hex) before the rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file, held = _begin(path)
    temporary = Path(file.name)
    digest = hashlib.sha256()
    try:
        with file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
                if before is not None:
                    digest.update(piece)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if before is not None:
            before(digest.hexdigest())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(held)


def _begin(path: Path) -> tuple[BinaryIO, int]:
    """A temporary file beside ``path``, and a descriptor that holds it locked, so that nobody takes
    it for a leftover. (The file is closed before it is renamed: some file systems tell only then
    that they have no room for it.)"""
    while True:
        token = f"{os.getpid()}.{secrets.token_hex(4)}"
        file = path.with_name(f".{path.name}.{token}.tmp").open("xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody is about to remove it, as nobody held it
            file.close()
            continue
        except OSError:  # a file system without locks
            pass
        if os.fstat(file.fileno()).st_nlink:
            return file, os.dup(file.fileno())
        file.close()


def drop_leftover(path: Path, older_than: float) -> bool:
    """Remove what a killed ``write_atomic`` left under its temporary name. Whoever still writes
    a file holds it locked; on a file system without locks one that is older than the time
    ``older_than`` (seconds since the epoch) was left. Tells whether it removed it."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                if os.fstat(file.fileno()).st_mtime > older_than:
                    return False
            path.unlink()
            return True
    except OSError:  # gone meanwhile, or not to be removed: it harms nobody
        return False
