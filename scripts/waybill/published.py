"""Published manifests: their names in the bucket, and what the last one knows.

A manifest is published as ``manifest-YYYY-MM-DD-HH-MM-SS-mmm.json`` (UTC; the name of the seed
hca-smart-sync), so the newest is the last by name, and nothing is ever overwritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from waybill.errors import WaybillError

if TYPE_CHECKING:
    from waybill.config import Transfer
    from waybill.control import Control

_NAME = re.compile(r"manifest-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{3}\.json")
LOOK_BACK = 10  # manifests of other datasets may stand in the same folder of the bucket

_T = TypeVar("_T")


def manifest_name(when: datetime) -> str:
    """The name of a manifest published at ``when`` (UTC)."""
    return f"manifest-{when:%Y-%m-%d-%H-%M-%S}-{when.microsecond // 1000:03d}.json"


def is_published(transfer: Transfer, path: str) -> bool:
    """Whether ``path``, relative to the destination, is where a manifest is published."""
    if transfer.publish_prefix is None:
        return False
    folder, _, name = (transfer.prefix + path).rpartition("/")
    folder = folder + "/" if folder else ""
    return folder == transfer.publish_prefix and bool(_NAME.fullmatch(name))


def published_key(record: Path) -> str:
    """The key a publication record names; ``""`` when there is no record."""
    try:
        return str(json.loads(record.read_bytes())["key"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError):
        raise WaybillError(f"{record}: damaged; remove it and run again") from None


def known_sha256(
    transfer: Transfer, control: Control, listed: Iterable[str]
) -> dict[str, tuple[int, str, str]]:
    """What the newest manifest of this destination says: path to (size, etag, sha256). See
    ``newest``."""
    found = newest(transfer, control, listed, lambda data: _read(data, transfer.url))
    return found[1] if found else {}


def newest(
    transfer: Transfer,
    control: Control,
    listed: Iterable[str],
    read: Callable[[bytes], _T | None],
) -> tuple[str, _T] | None:
    """The key of the newest published manifest that ``read`` can use, and what it made of it.

    ``listed`` are the keys of published manifests that the listing of the prefix held; a publish
    folder outside the prefix is listed here. One GET a manifest that is looked at.
    """
    folder = transfer.publish_prefix
    if folder is None:
        return None
    keys = set(listed)
    if not folder.startswith(transfer.prefix):
        names = (entry.path for entry in control.list_prefix(folder))
        keys = {folder + name for name in names if _NAME.fullmatch(name)}
    for key in sorted(keys, reverse=True)[:LOOK_BACK]:
        known = read(control.get(key))
        if known is not None:
            return key, known
    return None


def _read(data: bytes, url: str) -> dict[str, tuple[int, str, str]] | None:
    """The entries of a manifest for ``url``; None when it is another destination's, or no
    manifest that tells etags (those of the seed tool do not)."""
    try:
        manifest = json.loads(data)
        if manifest["metadata"]["upload_destination"] != url:
            return None
        return {
            file["key"].removeprefix(url.split("/", 3)[3]): (
                int(file["size_bytes"]),
                file["etag"],
                file["sha256"],
            )
            for file in manifest["files"]
            if file["sha256"]
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
