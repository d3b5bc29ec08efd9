"""Preset ``glacier``: satellite data of the Greenland glacier flow project.

The files of a satellite are in ``s3://{bucket}/{base_path}/{satellite}/`` and in
``{data_folder}/{base_path}/{satellite}``, in one of two layouts (or both, side by side)::

    {region}/{clipped,download/{year},metadata,template}/...   {region}/*.tif

    clipped/{region}/...                metadata/individual_csv/{region}/...
    metadata/combined_csv/{region}.csv  template/{region}.tif   download/{year}/...

and for Landsat ``_reference/{region}.tif``, ``_reference/{region}_stac_query_results.csv``. A
region is named NNN_Name, like 134_Arsuk. Raw tiles are what lies below a ``download``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from waybill.model.locations import check_blanks, check_bucket, is_s3
from waybill.model.selection import Selection
from waybill.presets.preset import Preset, PresetError

BUCKET = "greenland-glacier-data"
BASE_PATH = "1_download_merge_and_clip"
REGION = "us-west-2"
SATELLITES = ("sentinel2", "landsat")

# The folders of the second layout, which stand beside the regions of the first.
FOLDERS = ("clipped", "download", "metadata", "template", "_reference")

RAW_TILES = ("/download/", "/*/download/")

_OF_A_REGION = (
    "/{}/",
    "/clipped/{}/",
    "/metadata/individual_csv/{}/",
    "/metadata/combined_csv/{}.*",
    "/metadata/{}.*",
    "/template/{}.*",
    "/_reference/{}.*",
    "/_reference/{}_stac*",
)


def region_patterns(region: str) -> list[str]:
    """The include patterns for the files of a region in both layouts. They leave out the raw tiles
    of the second layout, which belong to no region.

    ``region`` is a name or a pattern like ``13*``. A star or question mark in front stands for
    digits, because the names of regions begin with one. Raises ValueError for an invalid region.
    """
    if not region or "/" in region or region in (".", "..") or "**" in region:
        raise ValueError("is no name of a region; allowed: a name like 134_Arsuk, or a pattern 13*")
    names = _numbered(region)
    at_the_top = Selection([f"/{name}/" for name in names])
    for folder in FOLDERS:
        if at_the_top.matches(f"{folder}/file"):
            raise ValueError(f'matches the folder "{folder}" too; begin it with a digit, * or ?')
    return [pattern.format(name) for name in names for pattern in _OF_A_REGION]


def _numbered(region: str) -> list[str]:
    if region.startswith("?"):
        return [f"[0-9]{region[1:]}"]
    if not region.startswith("*"):
        return [region]
    rest = region[1:]
    return [f"[0-9]{region}", *(_numbered(rest) if re.match("[0-9?[]", rest) else [])]


def check_base_path(text: str) -> None:
    """Raise ValueError when ``text`` cannot be the folder of the satellites."""
    check_blanks(text)
    if {"", ".", ".."} & set(text.split("/")):
        raise ValueError(f'"{text}": allowed: folders with one "/" between, none "." or ".."')


def url(table: Mapping[str, Any]) -> str:
    """Where the satellite's files are in S3, ending in a slash."""
    return f"s3://{table.get('bucket', BUCKET)}/{_place(table)}/"


def defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that follow from the ``glacier`` table of a transfer.

    It is a download, unless the source is a folder or the destination an S3 address. The AWS region
    is only known for the project's own bucket at Amazon. Raises PresetError when the satellite is
    missing, or when bucket, base path, data folder or a region is invalid.
    """
    table = settings.get("glacier", {})
    if "satellite" not in table:
        text = f'missing; preset "glacier" needs a satellite: {" or ".join(SATELLITES)}'
        raise PresetError("glacier.satellite", text)
    check_name = partial(check_bucket, elsewhere="endpoint_url" in settings)
    for key, check, value in (
        ("bucket", check_name, table.get("bucket", BUCKET)),
        ("base_path", check_base_path, table.get("base_path", BASE_PATH)),
        ("data_folder", check_blanks, table.get("data_folder", "")),
    ):
        try:
            check(value)
        except ValueError as error:
            raise PresetError(f"glacier.{key}", str(error)) from None
    source, destination = settings.get("source"), settings.get("destination")
    s3 = [isinstance(side, str) and is_s3(side) for side in (source, destination)]
    upload = s3[1] or (source is not None and not s3[0])
    found: dict[str, Any] = {
        "include": _include(table.get("regions", ())),
        "exclude": list(RAW_TILES) if table.get("exclude_downloads") else [],
        "compare": "size",
        "overwrite": "never",
        # Beside the satellites, not among their files.
        "publish": "../manifests/",
        ("destination" if upload else "source"): url(table),
    }
    if "data_folder" in table:
        place = _place(table).replace("$", "$$")
        found["source" if upload else "destination"] = f"{table['data_folder']}/{place}"
    elif (source if upload else destination) is None:
        text = 'missing; name the folder that holds BASE_PATH, or set "destination"'
        raise PresetError("glacier.data_folder", text)
    if "bucket" not in table and not any(s3) and "endpoint_url" not in settings:
        found["region"] = REGION
    return found


def _place(table: Mapping[str, Any]) -> str:
    return f"{table.get('base_path', BASE_PATH)}/{table['satellite']}"


def _include(regions: list[str]) -> list[str]:
    patterns: list[str] = []
    for region in regions:
        try:
            patterns += region_patterns(region)
        except ValueError as error:
            raise PresetError("glacier.regions", f'"{region}" {error}') from None
    return patterns or ["**"]


_SETTINGS: dict[str, dict[str, Any]] = {
    "satellite": {
        "description": (
            "Whose files. Required with preset `glacier`, which sets `source` to "
            "`s3://BUCKET/BASE_PATH/SATELLITE/`, `destination` to "
            '`DATA_FOLDER/BASE_PATH/SATELLITE`, `compare` to `"size"`, `overwrite` to `"never"` '
            'and `publish` to `"../manifests/"`. With a folder for `source`, or an S3 address for '
            "`destination`, it is an upload."
        ),
        "type": "string",
        "enum": ["sentinel2", "landsat"],
    },
    "data_folder": {
        "description": "Folder that holds BASE_PATH. Expanded like `source`.",
        "type": "string",
        "minLength": 1,
        "x-allowed": "a folder",
    },
    "bucket": {
        "description": (
            "Bucket to use instead of the project's own, `greenland-glacier-data` in us-west-2."
        ),
        "type": "string",
        "minLength": 1,
        "x-allowed": "name of a bucket",
    },
    "base_path": {
        "description": "Folder of the satellites, the same in the bucket and in the data folder.",
        "type": "string",
        "minLength": 1,
        "default": "1_download_merge_and_clip",
        "x-allowed": "a folder",
    },
    "regions": {
        "description": (
            "Take the files of these regions only: names, or patterns like `13*`. Raw tiles in "
            "`download/` at the top belong to no region, so they are left out then."
        ),
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "x-allowed": 'a list of names like "134_Arsuk" and patterns like "13*"',
    },
    "exclude_downloads": {
        "description": "Leave out raw tiles, `download/` at the top or in the folder of a region.",
        "type": "boolean",
        "default": False,
    },
}

PRESET = Preset(
    name="glacier",
    title="Greenland glacier flow",
    order=2,
    description=("What preset `glacier` derives both sides and the selection from; only with it."),
    settings=_SETTINGS,
    derives=frozenset({"source", "destination"}),
    defaults=defaults,
)
