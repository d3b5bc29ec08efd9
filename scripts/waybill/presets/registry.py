"""All presets: those of this package, and those that other distributions publish.

Reading the entry points of all distributions is slow. So it is done only for a name that is not in
this package, and a published preset is loaded only when it is needed.
"""

from __future__ import annotations

import pkgutil
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from waybill.model.errors import ConfigError
from waybill.presets.preset import Preset

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_PACKAGE = __name__.rpartition(".")[0]

GROUP = "waybill.presets"


def get(name: str) -> Preset:
    """The preset of this name.

    Raises KeyError when there is none, and ConfigError, which names the distribution, when it is
    published and cannot be loaded.
    """
    return _of_module(name) or _load(name)


@cache
def built_in() -> dict[str, Preset]:
    """The presets of this package by name, in their order."""
    found = [preset for name in sorted(_modules()) if (preset := _of_module(name))]
    return {preset.name: preset for preset in sorted(found, key=lambda p: (p.order, p.name))}


@cache
def published() -> dict[str, list[EntryPoint]]:
    """The entry points of other distributions by the name of the preset, not loaded. The names of
    this package's own presets are left out."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name not in built_in():
            found.setdefault(entry.name, []).append(entry)
    return found


def names() -> list[str]:
    """The names of all presets, also of those that cannot be loaded."""
    return [*built_in(), *published()]


def origin(name: str) -> str:
    """The distribution that publishes a preset, with its version; all of them if several do."""
    found = []
    for entry in published()[name]:
        found.append(f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value)
    return " and ".join(found)


def unusable(name: str, why: str) -> ConfigError:
    """The error for a published preset that cannot be used."""
    return ConfigError([f'preset "{name}" of {origin(name)} cannot be loaded: {why}'])


@cache
def _modules() -> frozenset[str]:
    return frozenset(m.name for m in pkgutil.iter_modules(sys.modules[_PACKAGE].__path__))


def _of_module(name: str) -> Preset | None:
    if name not in _modules():
        return None
    return getattr(import_module(f"{_PACKAGE}.{name}"), "PRESET", None)


@cache
def _load(name: str) -> Preset:
    entries = published()[name]
    if len(entries) > 1:
        raise unusable(name, "one name, several presets; uninstall all but one")
    try:
        preset = entries[0].load()
    except Exception as error:  # the code of others may raise any error
        raise unusable(name, f"{type(error).__name__}: {error}") from error
    if not isinstance(preset, Preset):
        raise unusable(name, f"{entries[0].value} is no waybill.presets.preset.Preset")
    if preset.name != name:
        raise unusable(name, f'{entries[0].value} is called "{preset.name}"')
    return preset
