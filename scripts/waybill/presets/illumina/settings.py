"""Preset ``illumina``: finished sequencing runs, each a dataset of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waybill.model.locations import check_blanks
from waybill.model.regexes import check_regex
from waybill.presets.preset import Finder, Preset, PresetError

if TYPE_CHECKING:
    from waybill.model.dataset import Found
    from waybill.model.transfer import Transfer
    from waybill.results.state import State

_RUN = re.compile(r"[0-9]{6}|[0-9]{8}")  # the date that the name of a sequencing run begins with


def defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The order of the files of a run: files that describe it first, files that say that it is
    complete last. Raises PresetError for an invalid regular expression or folder."""
    from waybill.presets.illumina.files import FIRST, last

    table = settings.get("illumina", {})
    patterns = {"sample_regex": [table["sample_regex"]] if "sample_regex" in table else []}
    patterns["exclude_patterns"] = table.get("exclude_patterns", [])
    for key, regexes in patterns.items():
        for regex in regexes:
            try:
                check_regex(regex)
            except ValueError as error:
                raise PresetError(f"illumina.{key}", str(error)) from None
    try:
        check_blanks(table.get("uploads", ""))
    except ValueError as error:
        raise PresetError("illumina.uploads", str(error)) from None
    return {"first": list(FIRST), "last": list(last(table.get("complete", ())))}


def _find(transfer: Transfer, before: State, *, mend: bool) -> Found:
    from waybill.presets.illumina import datasets

    return datasets.find(transfer, before, mend=mend)


def _may_be_run(folder: str, transfer: Transfer) -> bool:
    """Whether a sequencing run may have this name."""
    if transfer.preset_settings.get("skip_check"):
        return folder in {path.name for path in transfer.folders or (transfer.folder,)}
    return _RUN.fullmatch(folder.partition("_")[0]) is not None


def _share_uploads(one: Transfer, other: Transfer) -> bool:
    """Whether both keep state files in one folder, where each place has one owner (places.py)."""
    first, second = (transfer.preset_settings.get("uploads") for transfer in (one, other))
    return bool(first) and first == second


_DESCRIPTION = (
    "Which sequencing runs are taken; only with preset `illumina`. `source` is a run folder, or "
    "folders that hold runs; each finished run is a dataset of its own and goes to "
    "`destination/NAME/`. `RunInfo.xml` and sample sheets go first, completion files last."
)

_SETTINGS: dict[str, dict[str, Any]] = {
    "depth": {
        "description": "How many folders below `source` runs may lie; 2 finds `2024/RUN`.",
        "x-unit": "folders",
        "type": "integer",
        "minimum": 1,
        "maximum": 8,
        "default": 1,
    },
    "complete": {
        "description": (
            "Files, any of which tells that a run is finished (see `complete_all`). Without it the "
            "instrument decides: "
            "`CopyComplete.txt` where it writes that, else `RTAComplete.txt` or `RTAComplete.xml`; "
            "with 6 quiet hours after it where that is not known."
        ),
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "minLength": 1},
        "x-allowed": "a list of names of files, not empty",
    },
    "complete_all": {
        "description": "A run is finished when all files of `complete` are there, not any of them.",
        "type": "boolean",
        "default": False,
    },
    "complete_timeout": {
        "description": (
            "With `complete_all`: how long the first of the files waits for the others; then the "
            "run is finished without them, and that is said. 0: no limit."
        ),
        "x-unit": "hours",
        "type": "number",
        "minimum": 0,
        "default": 0,
    },
    "aborted": {
        "description": (
            "Also take runs that `RunCompletionStatus.xml` calls ended early. Without it they "
            "wait, and that is said."
        ),
        "type": "boolean",
        "default": False,
    },
    "skip_check": {
        "description": "Take a folder as it is, whether it is a finished run or not.",
        "type": "boolean",
        "default": False,
    },
    "sample_regex": {
        "description": (
            "A regular expression that must be found in every sample of the run's sample sheet. "
            "Without it no sheet is needed."
        ),
        "type": "string",
        "minLength": 1,
    },
    "exclude_patterns": {
        "description": (
            "Regular expressions; a file is left out when one is found in its path within the run, "
            "with a `/` in front."
        ),
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "default": [],
        "x-allowed": "a list of regular expressions",
    },
    "max_age": {
        "description": (
            "A run that was not begun and finished longer ago is not taken, and that is said; "
            "`touch RunInfo.xml` has it taken. 0: no limit."
        ),
        "x-unit": "hours",
        "type": "number",
        "minimum": 0,
        "default": 0,
    },
    "recheck": {
        "description": (
            "How long a run that is proven is taken for granted before both sides of it are looked "
            "at again."
        ),
        "x-unit": "hours",
        "type": "number",
        "minimum": 0,
        "default": 24,
    },
    "uploads": {
        "description": (
            "Folder of state files of s3_upload. A run that they call completed is not sent again, "
            "and one that keeps failing is tried more and more rarely."
        ),
        "type": "string",
        "minLength": 1,
        "x-allowed": "a folder",
    },
}

PRESET = Preset(
    name="illumina",
    title="sequencing runs",
    order=3,
    description=_DESCRIPTION,
    settings=_SETTINGS,
    defaults=defaults,
    exclude_regexes=lambda table: table.get("exclude_patterns", ()),
    finder=Finder(
        find=_find,
        unit="run",
        many_folders=True,
        may_be_dataset=_may_be_run,
        kept_apart=_share_uploads,
    ),
)
