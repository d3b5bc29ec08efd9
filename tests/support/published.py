"""Distributions that publish presets, made of a folder: a module and its ``*.dist-info``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "presets.md"


def publish(site: Path, distribution: str, entry_points: dict[str, str], **modules: str) -> None:
    """Put a distribution, version 1.0, into ``site``: entry points by name, modules by name."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = ["[waybill.presets]", *(f"{name} = {value}" for name, value in entry_points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text, encoding="utf-8")


def publish_seis(site: Path) -> None:
    """Publish preset ``seis`` as docs/presets.md shows it."""
    blocks = dict.fromkeys(("python", "toml"), "")
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        if language in blocks:
            blocks[language] = blocks[language] or text
    project = tomllib.loads(blocks["toml"])["project"]
    entry_points = project["entry-points"]["waybill.presets"]
    publish(site, project["name"], entry_points, waybill_seis=blocks["python"])
