"""Append-only files with one JSON object in each line.

A line is one write, so that several processes can append side by side. A line that is torn or
damaged is left out by the reader. A file that has grown too large keeps its last lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from waybill.system.files import write_atomic

MOST_BYTES = 1 << 20
KEPT_LINES = 1_000


def append(path: Path, item: Mapping[str, Any]) -> None:
    """Append a line. The folder is made if it does not exist. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
    with path.open("ab", buffering=0) as file:
        # The line break in front ends a line that a kill has torn.
        file.write(b"\n" + line + b"\n" if file.tell() else line + b"\n")
        size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        kept = [part for part in path.read_bytes().split(b"\n") if part][-KEPT_LINES:]
        write_atomic(path, b"\n".join(kept) + b"\n")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file, oldest first; none when there is no file. Raises OSError."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            item = json.loads(line) if line else None
        except ValueError:
            continue
        if isinstance(item, dict):
            yield item
