"""The history of a transfer: one line for each run, plan and verification that has ended.

``history.jsonl`` is append-only and never a Snakemake output. Nothing decides by it: it tells
people how a transfer came to stand as it does. A run that was killed leaves no line. A line that is
torn or damaged is ignored. When the file is larger than ``MOST_BYTES``, its last ``KEPT_LINES``
lines are kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from waybill.results.layout import Layout
from waybill.system.files import write_atomic

RUN, PLAN, VERIFY = "run", "plan", "verify"

MOST_BYTES = 1 << 20
KEPT_LINES = 1_000
MOST_LINES = 20  # of what was said, that are kept
MOST_CHARACTERS = 500  # of each of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One run that has ended.

    ``time`` is when it ended (UTC, ISO 8601) and ``seconds`` how long it took. ``kind`` is ``run``,
    ``plan`` or ``verify``. ``code`` is its exit code for this transfer, ``run`` the inventory that
    was the last one then. ``files`` and ``bytes`` are those of the selection, for a verification
    those that were proven or listed. ``moved_files`` and ``moved_bytes`` were moved in this run,
    ``looked`` is how many files a verification looked at, ``depth`` how closely. ``failures`` is
    the number of failures, ``said`` the last lines that it printed, ``version`` the version of
    Waybill.
    """

    time: str
    seconds: float
    kind: str
    code: int
    run: str = ""
    files: int = 0
    bytes: int = 0
    moved_files: int = 0
    moved_bytes: int = 0
    looked: int = 0
    depth: str = ""
    failures: int = 0
    said: list[str] = field(default_factory=list)
    version: str = ""


def append(layout: Layout, ended: Ended) -> None:
    """Append a run. Raises OSError."""
    item = asdict(ended)
    item["said"] = [line[:MOST_CHARACTERS] for line in ended.said[-MOST_LINES:]]
    line = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
    path = layout.history
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        # The line break in front ends a line that a kill has torn.
        file.write(b"\n" + line + b"\n" if file.tell() else line + b"\n")
        size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        kept = [part for part in path.read_bytes().split(b"\n") if part][-KEPT_LINES:]
        write_atomic(path, b"\n".join(kept) + b"\n")


def read(layout: Layout) -> list[Ended]:
    """All runs in the history, oldest first; none when there is no history. Raises OSError."""
    try:
        lines = layout.history.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [ended for line in lines if line and (ended := _parsed(line)) is not None]


_KINDS: dict[Any, Any] = {"str": str, "int": int, "float": (int, float), "list[str]": list}


def _parsed(line: bytes) -> Ended | None:
    """The run in a line; None for a line that is torn or damaged. Members of a later version are
    left out."""
    try:
        item = json.loads(line)
        known = {f.name: item[f.name] for f in fields(Ended) if f.name in item}
        ended = Ended(**known)
    except (ValueError, TypeError):
        return None
    if all(isinstance(getattr(ended, f.name), _KINDS[f.type]) for f in fields(Ended)):
        return ended
    return None
