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

    ``paths`` are the sorted paths of the files to be moved. ``local`` and ``remote`` map these
    paths to the entries that each side has. ``held``, ``skipped`` and ``refused`` map a path to a
    reason. ``overdue`` maps what is held back for too long to a message. Only ``refused`` and
    ``overdue`` are failures.
    """

    paths: list[str]
    local: dict[str, LocalEntry]
    remote: dict[str, RemoteEntry]
    held: dict[str, str]
    skipped: dict[str, str]
    refused: dict[str, str]
    overdue: dict[str, str]

    def leave_out(
        self,
        *,
        held: Mapping[str, str] | None = None,
        skipped: Mapping[str, str] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Hold back, skip or refuse the files at these paths, each for its reason."""


class Find(Protocol):
    """Finds the datasets of a transfer. ``before`` is the state of the last inventory. With
    ``mend`` False nothing is written."""

    def __call__(self, transfer: Transfer, before: State, *, mend: bool) -> Found: ...


def _may_be_any(folder: str, transfer: Transfer) -> bool:
    return True


def _never(one: Transfer, other: Transfer) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """How a preset finds several datasets below the source of a transfer. Each goes to a folder of
    its own in the destination.

    ``unit`` is the word for a dataset in messages. With ``many_folders`` the source may be a list
    of folders. ``may_be_dataset`` tells whether a dataset could have the name of a folder at the
    destination. ``kept_apart`` tells whether two transfers of this preset with the same destination
    never write to the same place. Both look only at settings.
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

    ``settings`` are the settings of its own table, which is also called ``name``: the JSON schema
    of each by key, with the keywords of workflow/schemas/config.schema.yaml. Without settings there
    is no table. ``title`` names the community, and ``description`` says what the table is for.
    ``order`` is the place in lists of presets; presets of the same order are sorted by name.

    ``defaults`` gets the merged settings of a transfer and returns the settings that go below them.
    For settings that it cannot use it raises PresetError, or a plain ValueError when no single key
    is wrong. ``derives`` names the required settings that it returns: ``source``, ``destination``.

    ``hold`` looks at both sides of an upload, holds back files that are not ready, and skips files
    that are not data. ``exclude_regexes`` gets the settings of the table and returns regular
    expressions of paths that are left out. ``dataset`` returns the name of the only dataset of a
    transfer; a ``finder`` finds several datasets.

    ``tool`` is the name of the tool in manifests. With ``manifest_copy`` a copy of each published
    manifest is kept in the source folder.
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
