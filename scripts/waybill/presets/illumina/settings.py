"""Preset ``illumina``: finished sequencing runs, each a dataset of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from waybill.model.locations import check_blanks
from waybill.presets import PresetError


def defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The order of the files of a run: what tells about it first, what tells that it is complete
    last. Raises PresetError for a regular expression that is none, and a folder that cannot be."""
    from waybill.presets.illumina.files import FIRST, last

    table = settings.get("illumina", {})
    patterns = {"sample_regex": [table["sample_regex"]] if "sample_regex" in table else []}
    patterns["exclude_patterns"] = table.get("exclude_patterns", [])
    for key, regexes in patterns.items():
        for regex in regexes:
            try:
                re.compile(regex)
            except re.error as error:
                text = f'"{regex}" is not a regular expression: {error}'
                raise PresetError(f"illumina.{key}", text) from None
    try:
        check_blanks(table.get("uploads", ""))
    except ValueError as error:
        raise PresetError("illumina.uploads", str(error)) from None
    return {"first": list(FIRST), "last": list(last(table.get("complete", ())))}
