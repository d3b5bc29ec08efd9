"""The checksum table format: that of GNU coreutils' ``sha256sum``, text mode.

``HEX  path`` per line. A path that holds a backslash, newline or carriage return is escaped
(``\\\\``, ``\\n``, ``\\r``) and its line begins with a backslash (coreutils manual, "md5sum
invocation"). The path ``-`` would mean standard input and is written ``./-``. What is read may be
in binary mode, or lines of ``sha256sum --tag`` and of OpenSSL: ``SHA256 (path) = HEX``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from waybill.model.errors import DamagedError

_UNSAFE = re.compile("[\\\\\n\r]")
_ESCAPE = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\([\\nr])")
_UNESCAPE = {"\\": "\\", "n": "\n", "r": "\r"}
_LINE = re.compile(r"(\\?)([0-9A-Fa-f]{64}) [ *](.+)", re.DOTALL)
_TAGGED = re.compile(r"(\\?)SHA(?:2-)?256 ?\((.+)\) ?= ?([0-9A-Fa-f]{64})", re.DOTALL)


def line(path: str, sha256: str) -> str:
    """One line of a checksum table, newline included."""
    if path == "-":
        path = "./-"
    if _UNSAFE.search(path):
        escaped = _UNSAFE.sub(lambda m: _ESCAPE[m.group()], path)
        return f"\\{sha256}  {escaped}\n"
    return f"{sha256}  {path}\n"


def render(items: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a checksum table from (path, sha256 hex) pairs."""
    return "".join(line(path, sha256) for path, sha256 in items).encode()


def parse(text: str) -> tuple[str, str] | None:
    """The (path, sha256 hex) in ``text``, a line without its newline; None for other formats."""
    if match := _LINE.fullmatch(text):
        escaped, sha256, name = match.groups()
    elif match := _TAGGED.fullmatch(text):
        escaped, name, sha256 = match.groups()
    else:
        return None
    if escaped:
        name = _ESCAPED.sub(lambda m: _UNESCAPE[m.group(1)], name)
    return ("-" if name == "./-" else name), sha256.lower()


def read(path: Path) -> Iterator[tuple[str, str]]:
    """The (path, sha256 hex) pairs of a checksum table.

    Raises DamagedError for a line in another format or without a newline, and for bytes that are
    not UTF-8.
    """
    number = 0
    with path.open(encoding="utf-8", newline="\n") as file:
        try:
            for number, text in enumerate(file, 1):
                found = parse(text.rstrip("\n")) if text[-1] == "\n" else None
                if found is None:
                    raise DamagedError(path, "not a line of a sha256sum file", line=number)
                yield found
        except UnicodeDecodeError:
            raise DamagedError(path, "its bytes are not UTF-8", line=number + 1) from None
