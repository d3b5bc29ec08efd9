"""The diagrams of the pages say what the code is, and are drawn from what stands beside them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "docs" / "pictures"


def words(drawing: str) -> set[str]:
    """The words that a diagram shows."""
    shown = re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", drawing)
    return {word for text in shown for word in re.findall(r"[\w-]+", text)}


def test_the_rooms_of_the_picture_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (c for c in project["tool"]["importlinter"]["contracts"] if "layers" in c)
    layers = contract["layers"][1:]  # above stand __main__ and the demo
    chain = re.search(r"^cli -> .*\n.*$", (PICTURES / "rooms.d2").read_text(), re.M)
    assert chain is not None
    drawn = chain[0].replace("\nstages", "").replace("work", " -> ".join(layers[3:8]))
    drawn = drawn.replace("base", " -> ".join(layers[-2:]))
    assert drawn.split(" -> ") == layers
    assert words((PICTURES / "rooms.svg").read_text(encoding="utf-8")) == set(layers)


def test_every_diagram_is_drawn_for_light_and_dark() -> None:
    sources = sorted(PICTURES.glob("*.d2"))
    assert len(sources) == 3
    for source in sources:
        drawing = source.with_suffix(".svg").read_text(encoding="utf-8")
        assert "prefers-color-scheme:dark" in drawing.replace(" ", "")
        assert not re.search(r'(href|src)="https?:', drawing)
        titles = re.findall(r'^\w+: "([^"\\]+)', source.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(" ".join(titles).split()) <= words(drawing), source.name
