"""A walk through a folder, and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from waybill.inventory.walk import Tree, Walk
from waybill.model.selection import Selection


def walk(root: Path, *include: str, **settings: Any) -> Tree:
    exclude = settings.pop("exclude", ())
    return Walk(root, Selection(include or ("**",), exclude), **settings).tree()


def paths(found: Tree) -> list[str]:
    return [entry.path for entry in found.entries]
