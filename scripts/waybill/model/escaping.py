"""How names are written in a table and on a screen."""

from __future__ import annotations

import re

# Controls (C0, DEL, C1), characters that break lines or change their direction, bytes not in UTF-8.
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
