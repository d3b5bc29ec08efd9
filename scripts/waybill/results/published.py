"""Published manifests: their names in the bucket, and the hashes that the newest one lists.

A manifest is published as ``manifest-YYYY-MM-DD-HH-MM-SS-mmm.json`` (UTC; the name of the seed
hca-smart-sync), so the newest is the last by name, and no manifest is ever overwritten.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from waybill.model.errors import DamagedError
from waybill.results import seals
from waybill.system import foreign_json
from waybill.system.files import write_atomic
from waybill.system.hashing import BLOCK_BYTES

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.layout import Layout
    from waybill.s3.bucket import Bucket

log = logging.getLogger(__name__)

_NAME = re.compile(r"manifest-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{3}\.json")
MANIFEST_BYTES = 1 << 30  # a manifest of a million files has half of this
LOOK_BACK = 10  # manifests of other datasets may stand in the same folder of the bucket

_T = TypeVar("_T")


def manifest_name(when: datetime) -> str:
    """The name of a manifest published at ``when`` (UTC)."""
    return f"manifest-{when:%Y-%m-%d-%H-%M-%S}-{when.microsecond // 1000:03d}.json"


def published_at(key: str) -> datetime | None:
    """The time (UTC) in the name of a published manifest; None for a key with another name."""
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
    """Whether ``path``, relative to the prefix, has the folder and name of a published manifest."""
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
    """The key in a publication record; ``""`` when there is no record."""
    try:
        return read_record(record)["key"]
    except FileNotFoundError:
        return ""


def last_published(layout: Layout, dataset: str) -> str:
    """The key of the manifest that was published last for a dataset; ``""`` when none was. Where an
    inventory has removed the record, its copy is read."""
    records = (layout.publication(dataset), layout.kept_publication(dataset))
    return next(filter(None, map(published_key, records)), "")


def tells_of(record: Path, manifest: Path) -> bool:
    """Whether a publication record has the SHA-256 of this manifest. False for a record that is
    damaged or missing."""
    try:
        return read_record(record)["sha256"] == seals.sha256_of(manifest)
    except (FileNotFoundError, DamagedError):
        return False


def keep(layout: Layout, dataset: str, record: bytes) -> None:
    """Keep a copy of the manifest of a dataset and of ``record``, the record of its publication:
    Snakemake removes both files before it runs their jobs again. The copy is a hard link where hard
    links are possible."""
    path, kept = layout.manifest(dataset), layout.kept_manifest(dataset)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        write_atomic(kept, blocks(path))
    write_atomic(layout.kept_publication(dataset), record)


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, piece by piece."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def known_sha256(
    transfer: Transfer, bucket: Bucket, listed: Iterable[str]
) -> dict[str, tuple[int, str, str]]:
    """The entries of the newest manifest of this destination that have a SHA-256: path to (size in
    bytes, etag, sha256 hex). ``listed`` is as in ``newest``."""
    found = newest(transfer, bucket, listed, lambda manifest: _read(manifest, transfer.url))
    return found[1] if found else {}


def newest(
    transfer: Transfer,
    bucket: Bucket,
    listed: Iterable[str],
    read: Callable[[Any], _T | None],
) -> tuple[str, _T] | None:
    """The newest published manifest that ``read`` accepts: its key and the result of ``read``.

    ``read`` gets the JSON. It returns None for a manifest that is not wanted, and raises ValueError
    (or LookupError, TypeError, AttributeError) for a damaged one, which is logged and passed over.
    ``listed`` are the keys of published manifests in the listing of the prefix; a publish folder
    outside the prefix is listed here. One GET for each manifest, at most ``LOOK_BACK``.
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
    """The result of ``read``. Raises ValueError when the JSON is no manifest."""
    try:
        return read(manifest)
    except (LookupError, TypeError, AttributeError):
        raise ValueError("is no manifest") from None


def destination(manifest: Any) -> str:
    """The S3 address in a manifest's metadata (``upload_destination``); ``""`` when it has none."""
    metadata = manifest.get("metadata")
    return str(metadata.get("upload_destination", "")) if isinstance(metadata, dict) else ""


def _read(manifest: Any, url: str) -> dict[str, tuple[int, str, str]] | None:
    """The entries of a manifest for ``url``, as ``known_sha256`` returns them. None for a manifest
    of another destination, or without keys and ETags, such as those of the seed tool. Raises the
    errors that ``newest`` expects."""
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
