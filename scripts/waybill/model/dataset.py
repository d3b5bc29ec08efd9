"""The datasets of a transfer: where each one lies on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from waybill.model.failure import Failure

if TYPE_CHECKING:
    pass


class Dataset(NamedTuple):
    """One dataset: its name, its absolute folder, and its full key prefix (``""`` or ending in
    ``/``). ``look`` is False for a dataset that this run does not look at: it was proven not long
    ago, keeps failing, or cannot be reached now."""

    name: str
    folder: str
    prefix: str
    look: bool = True


@dataclass(slots=True)
class Found:
    """The datasets of a transfer in this run. ``held`` maps a path that is not ready yet to the
    reason; ``skipped`` maps a path that is not for this transfer. ``failed`` are the failures of
    paths that could not be taken. ``several`` means that a preset searched for the datasets, so one
    of them may be gone later."""

    datasets: list[Dataset]
    several: bool = False
    held: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
