"""Tables: tab-separated, UTF-8, one header line, names escaped, written whole or not at all.

A value never holds a raw tab, newline or carriage return: they stand as ``\\t``, ``\\n``,
``\\r``, a backslash as ``\\\\``, and a byte that is not UTF-8 as ``\\xNN``. Read such a table
with ``pandas.read_csv(..., sep="\\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)``.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from waybill.errors import WaybillError

_UNSAFE = re.compile("[\\\\\t\n\r\udc80-\udcff]")
_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|(.))", re.DOTALL)
_UNESCAPE = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def _escape_one(match: re.Match[str]) -> str:
    char = match.group()
    return _ESCAPE.get(char) or f"\\x{ord(char) - 0xDC00:02x}"


def _unescape_one(match: re.Match[str]) -> str:
    if match.group(1):
        return chr(0xDC00 + int(match.group(1), 16))
    return _UNESCAPE.get(match.group(2), match.group())


def escape(text: str) -> str:
    """``text`` as it stands in a table or on a screen; ``unescape`` gives it back."""
    return _UNSAFE.sub(_escape_one, text) if _UNSAFE.search(text) else text


def unescape(text: str) -> str:
    """The text that ``escape`` made ``text`` from."""
    return _ESCAPED.sub(_unescape_one, text) if "\\" in text else text


def rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """The rows of a table, as lists of raw (still escaped) strings in the order of ``columns``.

    Raises WaybillError when the header is not ``columns`` or a row has another width.
    """
    width = len(columns)
    with path.open(encoding="utf-8", newline="\n") as file:
        if file.readline().rstrip("\n").split("\t") != list(columns):
            raise WaybillError(
                f"{path}: not a table of this version; remove it and run again", exit_code=1
            )
        for line in file:
            row = line.rstrip("\n").split("\t")
            if len(row) != width:
                raise WaybillError(f"{path}: damaged row; remove the file and run again")
            yield row


def render(columns: Sequence[str], lines: Iterable[str]) -> bytes:
    """The bytes of a table from its header and its ready-made row lines."""
    return ("\t".join(columns) + "\n" + "".join(f"{line}\n" for line in lines)).encode()


def write_atomic(path: Path, data: bytes | Iterable[bytes], *, sync: bool = False) -> None:
    """Put ``data`` at ``path`` in one step: readers see the old file or the whole new one.

    The temporary name is unique to the process, so the same job run twice at once stays right.
    ``sync`` asks the file system to have the bytes on disk before the rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                file.writelines(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, data: bytes) -> bool:
    """Write ``data`` unless the file holds it already; tells whether it wrote.

    An untouched file keeps its mtime, so Snakemake runs nothing that depends on it.
    """
    try:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    write_atomic(path, data)
    return True
