"""The datasets of a transfer: where each one lies on both sides.

Most transfers have one, with the folder and the prefix of the transfer; preset ``illumina`` finds
one for each sequencing run. Everything after the inventory works on one dataset as if it were a
transfer of its own (``view``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from waybill.failures import Failure
from waybill.presets import dataset_name

if TYPE_CHECKING:
    from waybill.state import State
    from waybill.transfer import Transfer


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


def find(transfer: Transfer, before: State, *, mend: bool = True) -> Found:
    """The datasets of a transfer; ``before`` is what the last inventory saw. With ``mend`` False
    nothing at all is written."""
    if transfer.preset == "illumina":
        from waybill.illumina import datasets

        return datasets.find(transfer, before, mend=mend)
    name = dataset_name(transfer.preset, transfer.name, transfer.hca)
    return Found([Dataset(name, str(transfer.folder), transfer.prefix)])
