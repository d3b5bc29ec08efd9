"""A transfer as TOML, from what was typed at a command line or a question."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from waybill.cli.terminal import printable
from waybill.config.check import dotted, toml
from waybill.model.errors import EXIT_CONFIG, WaybillError

# What a text in a configuration cannot have: control characters, and bytes that are no UTF-8.
NO_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def section(name: str, settings: Mapping[str, Any]) -> str:
    """The section of a transfer. A value that is a table becomes a row for each of its keys."""
    rows = [row for key, value in settings.items() for row in _rows(key, value)]
    return "\n".join([f"[transfers.{dotted([name])}]", *rows, ""])


def _rows(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for below, item in value.items():
            yield from _rows(f"{key}.{dotted([below])}", item)
    else:
        yield f"{key} = {toml(value)}"


def place(text: str) -> str:
    """An address as it is; a folder as its absolute path, in which a ``$`` is a plain one. Raises
    WaybillError for a name that a configuration cannot hold."""
    if NO_TEXT.search(text):
        raise WaybillError(
            f"{printable(text)}: has a byte that a configuration cannot hold; rename the folder or"
            " use a link to it",
            exit_code=EXIT_CONFIG,
        )
    if "://" in text:
        return text
    return os.path.abspath(text).replace("$", "$$")  # noqa: PTH100 (keeps links)


def setting(text: str) -> tuple[str, Any]:
    """A key and its value, which is read as TOML where it is TOML and as a text elsewhere."""
    key, _, typed = (part.strip() for part in text.partition("="))
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", key) or "=" not in text or NO_TEXT.search(typed):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value(typed)


def value(text: str) -> Any:
    """A value as it was typed: read as TOML where it is TOML, and as a text elsewhere."""
    import tomli

    try:
        found = tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text
    return text if hasattr(found, "isoformat") else found
