"""Presets: what one community always sets, and the rules by which it derives the rest.

A preset is a function from the merged settings of a transfer to defaults that go under them. Add
one by adding a line to ``PRESETS``: the schema, the messages and the reference page follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waybill.inventory.sides import Sides
    from waybill.model.transfer import Transfer


class PresetError(ValueError):
    """A preset cannot use a setting; ``key`` is its dotted name, for example ``hca.atlas``."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _generic(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _hca(settings: Mapping[str, Any]) -> dict[str, Any]:
    from waybill.presets import hca

    return hca.defaults(settings)


def _glacier(settings: Mapping[str, Any]) -> dict[str, Any]:
    from waybill.presets import glacier

    return glacier.defaults(settings)


def _illumina(settings: Mapping[str, Any]) -> dict[str, Any]:
    from waybill.presets.illumina import settings as illumina

    return illumina.defaults(settings)


def _ifcb(settings: Mapping[str, Any]) -> dict[str, Any]:
    from waybill.presets.ifcb import settings as ifcb

    return ifcb.defaults(settings)


PRESETS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "generic": _generic,
    "hca": _hca,
    "glacier": _glacier,
    "illumina": _illumina,
    "ifcb": _ifcb,
}

# The presets that have a table of settings, of their own name and for them alone, each with what
# it derives from it.
DERIVED = {
    "hca": {"destination"},
    "glacier": {"source", "destination"},
    "illumina": set(),
    "ifcb": set(),
}


def apply(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that preset ``name`` puts under ``settings``, the merged ones of a transfer.

    Raises PresetError, or a plain ValueError when no single key is to blame, for settings the
    preset cannot use, and KeyError for an unknown preset.
    """
    return PRESETS[name](settings)


def hold(transfer: Transfer, sides: Sides) -> None:
    """Let the preset of an upload hold back what is not ready and skip what is none of its data."""
    if transfer.preset == "ifcb":
        from waybill.presets.ifcb import settings as ifcb

        ifcb.hold(transfer, sides)


def dataset_name(name: str, transfer_name: str, settings: Mapping[str, Any] | None) -> str:
    """The dataset of a transfer that has one: an atlas folder with ``hca``, else the transfer."""
    if name == "hca" and settings:
        return str(settings.get("folder", "source-datasets"))
    return transfer_name


def tool_name(name: str) -> str:
    """The ``tool`` a manifest names: readers of a seed's manifests keep finding their own."""
    return {"hca": "hca-smart-sync"}.get(name, "waybill")
