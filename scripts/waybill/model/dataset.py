"""The datasets of a transfer: where each one lies on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from waybill.model.failure import Failure

if TYPE_CHECKING:
    pass


class Dataset(NamedTuple):
    """One dataset: its name, its absolute folder, and its full key prefix (``""`` or ending in
    ``/``). ``look`` is False for one that is proven and need not be looked at in this run."""

    name: str
    folder: str
    prefix: str
    look: bool = True


@dataclass(slots=True)
class Found:
    """The datasets of now. ``held`` maps what is not ready yet to the reason, ``skipped`` what is
    not for this transfer; ``failed`` is what could not be looked at. ``several`` tells that the
    datasets were found, so that one of them may be gone later."""

    datasets: list[Dataset]
    several: bool = False
    held: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
