"""What a preset consists of, and what the rest of Waybill hands to it.

Other distributions publish presets, so names and meanings here change with a major version only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from waybill.model.dataset import Found
    from waybill.model.entries import LocalEntry, RemoteEntry
    from waybill.model.transfer import Transfer
    from waybill.results.state import State


class PresetError(ValueError):
    """A preset cannot use a setting; ``key`` is its dotted name, for example ``hca.atlas``."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Sides(Protocol):
    """Both sides of an upload as the inventory found them.

    ``paths`` are those of the files to be moved, sorted; ``local`` and ``remote`` hold the entries
    of these paths that each side has. ``held`` and ``skipped`` map a path to a reason and are no
    failures; ``refused`` are. ``overdue`` maps what is held back for too long to what is wrong with
    it, which is a failure too.
    """

    paths: list[str]
    local: dict[str, LocalEntry]
    remote: dict[str, RemoteEntry]
    held: dict[str, str]
    skipped: dict[str, str]
    refused: dict[str, str]
    overdue: dict[str, str]

    def leave_out(
        self, *, held: Mapping[str, str] | None = None, skipped: Mapping[str, str] | None = None
    ) -> None:
        """Hold back or skip the files at these paths, each for its reason."""


class Find(Protocol):
    """Finds the datasets of a transfer. ``before`` is what the last inventory saw; with ``mend``
    False nothing at all is written."""

    def __call__(self, transfer: Transfer, before: State, *, mend: bool) -> Found: ...


def _may_be_any(folder: str, transfer: Transfer) -> bool:
    return True


def _never(one: Transfer, other: Transfer) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """How a preset finds several datasets below the source of a transfer. Each goes to a folder of
    its own in the destination.

    ``unit`` is what messages call a dataset. With ``many_folders`` the source may be a list of
    folders. ``may_be_dataset`` tells whether a dataset could have the name of this folder at the
    destination, and ``kept_apart`` whether two transfers of this preset with one destination never
    send to one place; both look at settings only.
    """

    find: Find
    unit: str = "dataset"
    many_folders: bool = False
    may_be_dataset: Callable[[str, Transfer], bool] = _may_be_any
    kept_apart: Callable[[Transfer, Transfer], bool] = _never


def _no_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _hold_nothing(transfer: Transfer, sides: Sides) -> None:
    pass


def _name_of_transfer(transfer: Transfer) -> str:
    return transfer.name


def _no_regexes(table: Mapping[str, Any]) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One preset: the value ``name`` of the setting ``preset``.

    ``settings`` are those of its own table, which is called ``name`` too: the JSON schema of each
    by key, with the keywords of workflow/schemas/config.schema.yaml. Without any there is no table.
    ``title`` names the community and ``description`` tells what the table is for; ``order`` is the
    place in lists of presets, where equal ones stand by name.

    ``defaults`` gives the settings that go under those of a transfer, which it gets merged. It
    raises PresetError, or a plain ValueError when no single key is to blame, for settings it cannot
    use. ``derives`` are the required settings among them: ``source``, ``destination``.

    ``hold`` looks at both sides of an upload, holds back what is not ready and skips what is none
    of the data. ``exclude_regexes`` gives, from the settings of the table, regular expressions of
    paths that are left out. ``dataset`` names the dataset of a transfer that has one; a ``finder``
    finds several.

    ``tool`` is what manifests name as the tool that made them. With ``manifest_copy`` the manifest
    of an upload that was published is kept in the folder of the source as well.
    """

    name: str
    title: str = ""
    description: str = ""
    order: int = 100
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    derives: frozenset[str] = frozenset()
    defaults: Callable[[Mapping[str, Any]], dict[str, Any]] = _no_defaults
    exclude_regexes: Callable[[Mapping[str, Any]], Sequence[str]] = _no_regexes
    dataset: Callable[[Transfer], str] = _name_of_transfer
    finder: Finder | None = None
    hold: Callable[[Transfer, Sides], None] = _hold_nothing
    tool: str = "waybill"
    manifest_copy: bool = False

    @property
    def table(self) -> dict[str, Any]:
        """The JSON schema of the preset's own table."""
        return {
            "description": self.description,
            "x-group": self.name,
            "type": "object",
            "additionalProperties": False,
            "properties": dict(self.settings),
        }
