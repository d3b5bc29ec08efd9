"""Every fault found in the field keeps a test, named after its row: ``test_A1_...``."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

_ROW = re.compile(r"test_([A-F][0-9]+)_[a-z0-9_]+")


def test_each_test_of_the_field_is_named_after_its_row() -> None:
    """A test without a row cannot be found from the list, and two of one name hide each other."""
    names: Counter[str] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
        names.update(name for name in found if name.startswith("test_"))
    assert [name for name in names if not _ROW.fullmatch(name)] == []
    assert [name for name, count in names.items() if count > 1] == []
