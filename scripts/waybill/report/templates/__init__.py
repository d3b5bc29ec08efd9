"""The templates of the pages, for jinja2, with the style sheet and the script that they include."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from waybill.model.units import format_size


def template(name: str) -> jinja2.Template:
    """A template of this folder; what it is given is escaped for HTML."""
    return _environment().get_template(name)


def colours() -> str:
    """The part of the style sheet that sets the colours, of both themes."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    return style.partition("\n* {")[0]


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["bytes"] = format_size
    made.filters["count"] = lambda number: f"{number:,}"
    made.filters["duration"] = duration
    made.filters["kind"] = lambda kind: "verification" if kind == "verify" else kind
    made.filters["when"] = lambda text: text[:19].replace("T", " ") + " UTC" if text else ""
    return made


def duration(seconds: float) -> str:
    """A time in seconds for people: ``2 h 05 min``, ``3 min 20 s``, ``1.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"
