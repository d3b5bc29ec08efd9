"""Lists of files with their checksums: manifests in JSON, and files of ``sha256sum``.

A manifest is Waybill's, or that of the seed hca-smart-sync: ``files`` with ``filename``,
``size_bytes`` and ``sha256``. A checksum file is that of GNU coreutils, BagIt's
``manifest-sha256.txt`` or ``sha256sum --tag`` (BSD).
"""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.model.times import nanoseconds
from waybill.results import sha256sum
from waybill.system import foreign_json
from waybill.verify.judge import Expected

MANIFEST_TICK_NS = 1_000_000  # the times in a manifest are in whole milliseconds

_NO_MANIFEST = "no manifest; a manifest is JSON with `files`, each with a `filename`"
_SUM = re.compile(r"([0-9A-Fa-f]+) [ *]\S|(MD5|SHA1|SHA512|SHA384|SHA224) \(.*\) = [0-9A-Fa-f]+$")
_SUMS = {32: "MD5", 40: "SHA1", 56: "SHA224", 96: "SHA384", 128: "SHA512"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read(file: Path) -> list[Expected]:
    """The entries of a list, each path once, without ``./`` in front.

    Only size and SHA-256 are given, where the list has them. Raises WaybillError for a file that
    cannot be read, is no list, or has two different entries for one path.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        text = f"{file}: cannot be read: {error.strerror}"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    if data.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        found = (e._replace(key="", mtime_ns=None, etag="") for e in manifest(data, str(file)))
    else:
        found = _checksums(data, file)
    return _each_once(found, file)


def _each_once(found: Iterable[Expected], file: Path) -> list[Expected]:
    entries: dict[str, Expected] = {}
    for entry in found:
        slash = "/" if entry.path.endswith("/") else ""  # an entry for a folder
        entry = entry._replace(path=posixpath.normpath(entry.path) + slash)
        if entries.setdefault(entry.path, entry) != entry:
            text = f"{file}: lists {entry.path} twice, each time with another checksum or size"
            raise WaybillError(text, exit_code=EXIT_CONFIG)
    return list(entries.values())


def manifest(data: bytes, name: str) -> Iterator[Expected]:
    """The entries of a manifest. A manifest of Waybill has keys and etags; its entries have the
    mtime of the file, in whole milliseconds. A manifest of the seed has times in no known time
    zone; its entries have no mtime.

    Raises WaybillError, which calls the manifest ``name``, for JSON that is no manifest.
    """
    try:
        document = foreign_json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise WaybillError(f"{name}: {_NO_MANIFEST} ({error})", exit_code=EXIT_CONFIG) from None
    yield from entries(document, name)


def entries(document: Any, name: str) -> Iterator[Expected]:
    """The entries of a manifest whose JSON is parsed already, as in ``manifest``."""
    try:
        for number, file in enumerate(document["files"]):
            yield _of_manifest(file, f"{name}: files[{number}]")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WaybillError(f"{name}: {_NO_MANIFEST}", exit_code=EXIT_CONFIG) from None


def _of_manifest(file: dict[str, Any], where: str) -> Expected:
    path, size = foreign_json.text(file["filename"]), file.get("size_bytes")
    etag, key = (foreign_json.text(file.get(name) or "") for name in ("etag", "key"))
    if not path:
        raise ValueError
    try:
        size = None if size is None else foreign_json.whole(size)
    except ValueError:
        raise WaybillError(f"{where}: size_bytes is no size", exit_code=EXIT_CONFIG) from None
    sha256 = str(file.get("sha256") or "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise WaybillError(f"{where}: sha256 is no SHA-256 in hex", exit_code=EXIT_CONFIG)
    mtime_ns = None
    if etag and file.get("modified_at"):
        mtime_ns = nanoseconds(datetime.fromisoformat(file["modified_at"]))
    elif etag and "mtime_ns" in file:
        mtime_ns = int(file["mtime_ns"])
    return Expected(path, key, size, mtime_ns, sha256, etag)


def _advice(line: str) -> str:
    """What to say about the line of a list of other checksums; ``""`` for any other line."""
    match = _SUM.match(line)
    name = (match[2] or _SUMS.get(len(match[1]))) if match else None
    if name is None:
        return ""
    return (
        f" but one of {name}, and Waybill compares by SHA-256; check this list with"
        f" `{name.lower()}sum -c`, or make one with `sha256sum`"
    )


def _checksums(data: bytes, file: Path) -> Iterator[Expected]:
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        path, sha256 = sha256sum.parse(line) or ("", "")
        if not path:
            text = f"{file}:{number}: neither a manifest nor a line of a sha256sum file"
            raise WaybillError(text + _advice(line), exit_code=EXIT_CONFIG)
        yield Expected(path, "", None, None, sha256, "")
