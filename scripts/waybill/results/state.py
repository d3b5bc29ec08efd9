"""The state of a transfer: what its last inventory saw, kept for the jobs that follow.

``state.json`` is written by every inventory and is never a Snakemake output.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from waybill.model.errors import DamagedError
from waybill.results import seals
from waybill.results.layout import Layout


@dataclass(slots=True, kw_only=True)
class Counts:
    """The counts of an inventory: the selected ``files``, their size in ``bytes``, their
    ``batches``, and for each reason the number of entries that are in no batch. ``unmatched`` are
    those of the source that no pattern selects."""

    files: int = 0
    bytes: int = 0
    batches: int = 0
    held: int = 0
    skipped: int = 0
    refused: int = 0
    only_at_destination: int = 0
    unmatched: int = 0


@dataclass(slots=True)
class Place(Counts):
    """One dataset: its absolute folder, its full key prefix and its counts. ``looked`` is the time
    of its last inventory (seconds since the epoch). This inventory did not look at a dataset that
    is ``resting``: it was proven not long ago, keeps failing, or cannot be reached now."""

    folder: str
    prefix: str
    looked: float = 0
    resting: bool = False


@dataclass(slots=True)
class State(Counts):
    """What the last inventory saw.

    ``run`` identifies this inventory: journal records with the same ``run`` are later than its
    listing. ``start`` is the param of the job that took it. ``inherits`` maps ``dataset/batch`` to
    the batches that held its entries before.
    ``places`` are the datasets by name. ``datasets`` are the names of those that have batches and
    do not rest. ``settings`` are the settings that a diff depends on. The counts are of all
    datasets; only ``batches`` leaves out datasets that rest. ``open`` names the batches without a
    proof (``dataset/batch``). ``audited_ns`` is the time of the last audit (``results.audit``), in
    ns since the epoch; 0 means never.
    """

    destination: str = ""
    source: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    start: str = ""
    datasets: list[str] = field(default_factory=list)
    accelerate: bool = False
    settings: str = ""
    open: list[str] = field(default_factory=list)
    inherits: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    audited_ns: int = 0

    def add_up(self) -> None:
        """Set ``datasets``, and add the counts of the datasets to those of the transfer."""
        for count in (f.name for f in fields(Counts)):
            found = sum(getattr(place, count) for place in self.places.values())
            setattr(self, count, getattr(self, count) + found)
        active = {name: place for name, place in self.places.items() if not place.resting}
        self.datasets = sorted(name for name, place in active.items() if place.batches)
        self.batches = sum(place.batches for place in active.values())


def read(layout: Layout) -> State:
    """The state of the last inventory. A missing or damaged file gives an empty state, with ``run``
    ``""``; the next inventory logs the damage and writes the file again."""
    try:
        return parsed(layout)
    except (FileNotFoundError, DamagedError):
        return State(run="")


def batches(layout: Layout) -> Iterator[tuple[str, str]]:
    """Every (dataset, batch) of the last inventory, sorted, without datasets that rest."""
    resting = {name for name, place in read(layout).places.items() if place.resting}
    inventory = layout.inventory
    for folder in sorted(inventory.iterdir()) if inventory.is_dir() else ():
        if folder.is_dir() and folder.name not in resting:
            for name in layout.batches_of(folder.name):
                yield folder.name, name


def parsed(layout: Layout) -> State:
    """The state of the last inventory. Raises FileNotFoundError, DamagedError."""
    data = layout.state.read_bytes()
    try:
        known: dict[str, Any] = json.loads(data)
        names = {f.name for f in fields(State)}
        found = State(**{"run": "", **{n: v for n, v in known.items() if n in names}})
        places: dict[str, dict[str, Any]] = known.get("places", {})
        found.places = {name: Place(**place) for name, place in places.items()}
        _check(found)
    except (ValueError, TypeError, AttributeError):
        raise DamagedError(layout.state, "no state of this version") from None
    return found


def _check(found: State) -> None:
    """Raise TypeError when a value does not have the type of its field."""
    for thing in (found, *found.places.values()):
        for item in fields(thing):
            value, default = getattr(thing, item.name), _KINDS[item.type]
            if not isinstance(value, default) or (isinstance(value, bool) and default is not bool):
                raise TypeError(item.name)
    if not all(isinstance(name, str) for name in (*found.datasets, *found.open)):
        raise TypeError("datasets, open")
    if not all(isinstance(names, list) for names in found.inherits.values()):
        raise TypeError("inherits")


_KINDS: dict[Any, Any] = {
    "int": int, "float": (int, float), "bool": bool, "str": str, "list[str]": list,
    "dict[str, list[str]]": dict, "dict[str, Place]": dict,
}  # fmt: skip


def write(layout: Layout, state: State) -> None:
    """Write the state and seal it."""
    seals.write(layout, layout.state, json.dumps(asdict(state), indent=1).encode() + b"\n")
