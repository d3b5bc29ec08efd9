"""State of a transfer: what the last inventory saw, for the jobs and the summary that follow.

``state.json`` is written by every inventory and is never a Snakemake output.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

from waybill.layout import Layout
from waybill.tables import write_atomic


@dataclass(slots=True)
class State:
    """What the last inventory saw.

    ``run`` names this inventory: a journal record that carries it was written later than the
    listing. ``inherits`` maps ``dataset/batch`` to the batches its entries stood in before.
    ``batches`` counts the batches, ``open`` names those without a proof (``dataset/batch``);
    ``bytes`` is the size of the selection.
    """

    destination: str = ""
    source: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    datasets: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    batches: int = 0
    held: int = 0
    skipped: int = 0
    refused: int = 0
    only_at_destination: int = 0
    accelerate: bool = False
    open: list[str] = field(default_factory=list)
    inherits: dict[str, list[str]] = field(default_factory=dict)


def read(layout: Layout) -> State:
    """The state the last inventory left; a fresh one when there was none."""
    try:
        known: dict[str, Any] = json.loads(layout.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return State(run="")
    return State(**{k: v for k, v in known.items() if k in State.__slots__})


def write(layout: Layout, state: State) -> None:
    """Write the state whole."""
    write_atomic(layout.state, json.dumps(asdict(state), indent=1).encode() + b"\n")
