"""Reads the beginning of a state file: the folder of a run, and whether all of it was uploaded.

A state lists every file of its run, which may be thousands. A pass over hundreds of completed runs
does not need these lists.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from waybill.presets.illumina.run_state import SUFFIX

_TEXT = rb'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(
    rb'\s*\{\s*"run_id":\s*' + _TEXT + rb',\s*"run_path":\s*(' + _TEXT + rb"),"
    rb'\s*"completed":\s*(true|false),'
)
_HEAD_BYTES = 16 << 10  # a path has up to 4 KiB, each character of it up to six bytes in JSON


class Glance(NamedTuple):
    """The folder of a run as its state file has it, and whether the run is completed."""

    run_path: str
    completed: bool


def glance(file: Path) -> Glance | None:
    """The beginning of a state file; None when it must be read as a whole, is torn, or is missing.

    Raises OSError when it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 16))
            tail = stream.read()
    except FileNotFoundError:
        return None
    found = _HEAD.match(head)
    if found is None or not tail.rstrip().endswith(b"}"):
        return None
    try:
        return Glance(json.loads(found[1]), found[2] == b"true")
    except ValueError:
        return None


def partial(uploads: Path) -> Iterator[str | None]:
    """The folders of the runs that were begun and not completed; None for a state file whose
    beginning does not say."""
    for file in sorted(uploads.glob(f"*{SUFFIX}")):
        try:
            seen = glance(file)
        except OSError:
            seen = None
        if seen is None:
            yield None
        elif not seen.completed:
            yield seen.run_path
