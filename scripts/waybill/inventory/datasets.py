"""The datasets of a transfer: where each one lies on both sides.

Most transfers have one, with the folder and the prefix of the transfer; preset ``illumina`` finds
one for each sequencing run. Everything after the inventory works on one dataset as if it were a
transfer of its own (``view``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from waybill.model.dataset import Dataset, Found
from waybill.presets import dataset_name

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.state import State


def find(transfer: Transfer, before: State, *, mend: bool = True) -> Found:
    """The datasets of a transfer; ``before`` is what the last inventory saw. With ``mend`` False
    nothing at all is written."""
    if transfer.preset == "illumina":
        from waybill.presets.illumina import datasets

        return datasets.find(transfer, before, mend=mend)
    name = dataset_name(transfer.preset, transfer.name, transfer.hca)
    return Found([Dataset(name, str(transfer.folder), transfer.prefix)])
