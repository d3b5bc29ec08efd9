"""The history of a transfer: one line for each run, plan and verification that has ended.

``history.jsonl`` is append-only and never a Snakemake output. Nothing decides by it: it tells
people how a transfer came to stand as it does. A run that was killed leaves no line. The format is
that of ``system.json_lines``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from waybill.results.layout import Layout
from waybill.system import json_lines

RUN, PLAN, VERIFY = "run", "plan", "verify"

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
    json_lines.append(layout.history, item)


def read(layout: Layout) -> list[Ended]:
    """All runs in the history, oldest first; none when there is no history. Raises OSError."""
    return [ended for item in json_lines.read(layout.history) if (ended := _parsed(item))]


_KINDS: dict[Any, Any] = {"str": str, "int": int, "float": (int, float), "list[str]": list}


def _parsed(item: dict[str, Any]) -> Ended | None:
    """The run in a line; None for a line that is damaged. Members of a later version are left
    out."""
    try:
        known = {f.name: item[f.name] for f in fields(Ended) if f.name in item}
        ended = Ended(**known)
    except (ValueError, TypeError):
        return None
    if all(isinstance(getattr(ended, f.name), _KINDS[f.type]) for f in fields(Ended)):
        return ended
    return None
