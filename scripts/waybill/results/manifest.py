"""The manifest of a dataset: its proven entries, assembled from the markers and nothing else.

The JSON has the fields of the seed hca-smart-sync: those in its guide (``path``, ``last_modified``)
and those that the tool writes (``manifest_version``, ``generated_at``, ``submission_id``,
``modified_at``, ``submitter``). Each file also has ``key``, ``etag`` and ``version_id``. The
metadata of an upload name the destination; those of a download name source and destination. All
times are UTC. The times of a file from after the year 9999 are null; its entry has ``mtime_ns``, in
ns since the epoch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from waybill import __version__
from waybill.model.times import utc, utc_of_file
from waybill.results.marker import Proof

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

_FILES = b'  "files": ['  # after this line, each file has one line
_COMPARED = ("filename", "path", "size_bytes", "sha256", "key", "etag")
_DIGITS = re.compile(r"(\d+)")


def natural_key(path: str) -> list[Any]:
    """Sorts ``sample2`` before ``sample10``."""
    return [int(t) if i % 2 else t for i, t in enumerate(_DIGITS.split(path))]


def manifest(
    transfer: Transfer, dataset: str, proofs: Iterable[Proof], now: datetime
) -> Iterator[bytes]:
    """The bytes of a manifest, in pieces; ``now`` is its time (UTC)."""
    ordered = sorted(proofs, key=lambda proof: natural_key(proof.path))
    stamp = utc(now)
    head = {
        "manifest_version": "1.0",
        "generated_at": stamp,
        "submission_id": f"submission_{now:%Y%m%d_%H%M%S}_{now.microsecond // 1000:03d}",
        "metadata": {
            **_sides(transfer, max((proof.time for proof in ordered), default=stamp)),
            "tool": transfer.tool,
            "version": __version__,
            "transfer": transfer.name,
            "dataset": dataset,
        },
        "submitter": {},
    }
    yield json.dumps(head, indent=2).removesuffix("\n}").encode() + b",\n" + _FILES + b"\n"
    last = len(ordered) - 1
    for i, proof in enumerate(ordered):
        text = json.dumps(_file(transfer, proof), ensure_ascii=False)
        yield b"    " + text.encode() + (b"\n" if i == last else b",\n")
    yield b"  ]\n}\n"


def holds_the_same(file: BinaryIO, transfer: Transfer, dataset: str, proofs: list[Proof]) -> bool:
    """Whether the manifest in an open file lists exactly these entries of ``dataset``: the same
    files, bytes and objects. Modification times are not compared. A ``version_id`` is compared only
    where both the manifest and the proof have one."""
    ordered = iter(sorted(proofs, key=lambda proof: natural_key(proof.path)))
    try:
        about = _head(file)["metadata"]
        ours = {**_sides(transfer, ""), "transfer": transfer.name, "dataset": dataset}
        if any(about.get(key) != value for key, value in ours.items() if value):
            return False
        for line in file:
            if line == b"  ]\n":
                return next(ordered, None) is None
            proof = next(ordered, None)
            if proof is None:
                return False
            text = line.strip().removesuffix(b",")
            entry = _file(transfer, proof)
            if json.dumps(entry, ensure_ascii=False).encode() != text:
                known = json.loads(text)
                version = known["version_id"]
                if version and entry["version_id"] and version != entry["version_id"]:
                    return False
                if any(known[name] != entry[name] for name in _COMPARED):
                    return False
    except (ValueError, LookupError, TypeError, AttributeError):
        return False  # no manifest of this version
    return False


def _head(file: BinaryIO) -> dict[str, Any]:
    """The members of a manifest before ``files``. The file is then at the line of its first one."""
    head = b""
    for line in file:
        if line.rstrip() == _FILES:
            break
        head += line
    return json.loads(head.rstrip().removesuffix(b",") + b"}")


def generated_at(file: BinaryIO) -> datetime:
    """The time of the manifest in an open file. Only the head is read into memory; the file is
    rewound afterwards."""
    head = _head(file)
    file.seek(0)
    return datetime.fromisoformat(head["generated_at"])


def _sides(transfer: Transfer, last: str) -> dict[str, str]:
    """The metadata that name the sides of the transfer and ``last``, the time of the last entry."""
    if transfer.direction == "upload":
        return {"upload_destination": transfer.url, "upload_timestamp": last}
    return {
        "download_source": transfer.url,
        "download_destination": transfer.destination,
        "download_timestamp": last,
    }


def _file(transfer: Transfer, proof: Proof) -> dict[str, Any]:
    modified = utc_of_file(proof.mtime_ns)
    note = {} if modified else {"mtime_ns": proof.mtime_ns}
    return {
        "filename": proof.path,
        "path": f"{transfer.folder}/{proof.path}",
        "size_bytes": proof.size,
        "sha256": proof.sha256 or None,
        "modified_at": modified,
        "last_modified": modified,
        "key": proof.key,
        "etag": proof.etag,
        "version_id": proof.version_id or None,
        **note,
    }
