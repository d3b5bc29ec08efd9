"""Published manifests: their names in the bucket, and the hashes that the newest one lists.

A manifest is published as ``manifest-YYYY-MM-DD-HH-MM-SS-mmm.json`` (UTC; the name of the seed
hca-smart-sync), so the newest is the last by name, and nothing is ever overwritten.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from waybill.model.errors import DamagedError
from waybill.results import seals
from waybill.system import foreign_json

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.layout import Layout
    from waybill.s3.bucket import Bucket

log = logging.getLogger(__name__)

_NAME = re.compile(r"manifest-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{3}\.json")
MANIFEST_BYTES = 1 << 30  # one of a million files has half of it
LOOK_BACK = 10  # manifests of other datasets may stand in the same folder of the bucket

_T = TypeVar("_T")


def manifest_name(when: datetime) -> str:
    """The name of a manifest published at ``when`` (UTC)."""
    return f"manifest-{when:%Y-%m-%d-%H-%M-%S}-{when.microsecond // 1000:03d}.json"


def published_at(key: str) -> datetime | None:
    """When the manifest of this key was published, as its name tells (UTC)."""
    name = key.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        return None
    numbers = [int(number) for number in name.removesuffix(".json").split("-")[1:]]
    year, month, day, hour, minute, second, millisecond = numbers
    try:
        return datetime(year, month, day, hour, minute, second, millisecond * 1000, tzinfo=UTC)
    except ValueError:
        return None


def is_published(transfer: Transfer, path: str) -> bool:
    """Whether ``path``, relative to the destination, is where a manifest is published."""
    if transfer.publish_prefix is None:
        return False
    folder, _, name = (transfer.prefix + path).rpartition("/")
    folder = folder + "/" if folder else ""
    return folder == transfer.publish_prefix and bool(_NAME.fullmatch(name))


def read_record(record: Path) -> dict[str, Any]:
    """A record of a publication: ``key``, ``etag``, ``size`` in bytes, ``sha256`` hex, ``time``.
    Raises DamagedError, FileNotFoundError."""
    try:
        found = foreign_json.loads(record.read_bytes())
        if all(isinstance(found[name], str) for name in ("key", "etag", "sha256", "time")):
            return found
    except (ValueError, LookupError, TypeError):
        pass
    raise DamagedError(record, "no record of a publication")


def published_key(record: Path) -> str:
    """The key a publication record names; ``""`` when there is no record."""
    try:
        return read_record(record)["key"]
    except FileNotFoundError:
        return ""


def last_published(layout: Layout, dataset: str) -> str:
    """The key of the manifest of a dataset that was published last, also where an inventory has
    removed the record since; ``""`` when none was."""
    records = (layout.publication(dataset), layout.kept_publication(dataset))
    return next(filter(None, map(published_key, records)), "")


def tells_of(record: Path, manifest: Path) -> bool:
    """Whether a publication record is that of just these bytes; a damaged or lost one is not."""
    try:
        return read_record(record)["sha256"] == seals.sha256_of(manifest)
    except (FileNotFoundError, DamagedError):
        return False


def known_sha256(
    transfer: Transfer, bucket: Bucket, listed: Iterable[str]
) -> dict[str, tuple[int, str, str]]:
    """What the newest manifest of this destination says: path to (size, etag, sha256). See
    ``newest``."""
    found = newest(transfer, bucket, listed, lambda manifest: _read(manifest, transfer.url))
    return found[1] if found else {}


def newest(
    transfer: Transfer,
    bucket: Bucket,
    listed: Iterable[str],
    read: Callable[[Any], _T | None],
) -> tuple[str, _T] | None:
    """The key of the newest published manifest that ``read`` can use, and what it made of it.

    ``read`` gets the JSON, and may raise ValueError. A manifest that is damaged is passed by as if
    it were not there, and that is said. ``listed`` are the keys of published manifests that the
    listing of the prefix held; a publish folder outside the prefix is listed here. One GET a
    manifest that is looked at.
    """
    folder = transfer.publish_prefix
    if folder is None:
        return None
    keys = set(listed)
    if not folder.startswith(transfer.prefix):
        names = (entry.path for entry in bucket.list_prefix(folder))
        keys = {folder + name for name in names if _NAME.fullmatch(name)}
    for key in sorted(keys, reverse=True)[:LOOK_BACK]:
        try:
            manifest = foreign_json.loads(bucket.get(key, MANIFEST_BYTES))
            known = _usable(read, manifest)
        except ValueError as error:
            log.warning("s3://%s/%s: %s; it is not used", transfer.bucket, key, error)
            continue
        if known is not None:
            return key, known
    return None


def _usable(read: Callable[[Any], _T | None], manifest: Any) -> _T | None:
    """What ``read`` makes of a manifest. Raises ValueError for one that is none."""
    try:
        return read(manifest)
    except (LookupError, TypeError, AttributeError):
        raise ValueError("is no manifest") from None


def destination(manifest: Any) -> str:
    """The S3 address a manifest says its files are at; ``""`` when it says none."""
    metadata = manifest.get("metadata")
    return str(metadata.get("upload_destination", "")) if isinstance(metadata, dict) else ""


def _read(manifest: Any, url: str) -> dict[str, tuple[int, str, str]] | None:
    """The entries of a manifest for ``url``; None when it is another destination's, or one that
    tells no etags (those of the seed tool do not). Raises as ``newest`` expects it."""
    if destination(manifest) != url:
        return None
    files = manifest["files"]
    if any("key" not in file or "etag" not in file for file in files):
        return None
    prefix = url.split("/", 3)[3]
    return {
        foreign_json.text(file["key"]).removeprefix(prefix): (
            foreign_json.whole(file["size_bytes"]),
            foreign_json.text(file["etag"]),
            foreign_json.text(file["sha256"]),
        )
        for file in files
        if file["sha256"]
    }
