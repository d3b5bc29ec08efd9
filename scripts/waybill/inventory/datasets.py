"""The datasets of a transfer: where each one lies on both sides.

Most transfers have one dataset, with the folder and the prefix of the transfer. A preset may find
several, such as one for each sequencing run. Every later job works on one dataset as if it were a
transfer of its own (``model.transfer.Transfer.for_dataset``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from waybill.model.dataset import Dataset, Found
from waybill.presets import registry

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.state import State


def find(transfer: Transfer, before: State, *, mend: bool = True) -> Found:
    """The datasets of a transfer. ``before`` is the state of the last inventory. With ``mend``
    False nothing is written."""
    preset = registry.get(transfer.preset)
    if preset.finder is not None:
        return preset.finder.find(transfer, before, mend=mend)
    return Found([Dataset(preset.dataset(transfer), str(transfer.folder), transfer.prefix)])
