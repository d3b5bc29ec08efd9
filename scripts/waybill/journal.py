"""The journal of a batch: finished entries and open multipart uploads, one JSON line each.

``journal/{dataset}/{batch}.jsonl`` is append-only and never a Snakemake output. A line is one
``write`` to a file opened with O_APPEND, so a killed job leaves at most one torn last line, which
is ignored, and two copies of one job do not tear each other's lines. Records:

``{"done": path, "run", "size", "mtime_ns", "sha256", "key", "etag", "version_id", "time"}``
``{"upload": path, "id", "size", "sha256", "part_size", "key"}``   a multipart upload was opened
``{"part": number, "id", "etag", "sha256"}``                       one part of it has arrived
``{"closed": id}``                                                 it was completed or given up
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.marker import Proof


@dataclass(slots=True)
class OpenUpload:
    """A multipart upload that was begun: ``parts`` maps a part number to (etag, sha256 hex)."""

    path: str
    id: str
    size: int
    sha256: str
    part_size: int
    key: str
    parts: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """What the journals of a batch tell: ``done`` maps a path to (run, proof)."""

    done: dict[str, tuple[str, Proof]] = field(default_factory=dict)
    uploads: dict[str, OpenUpload] = field(default_factory=dict)

    def open_uploads(self, path: str) -> list[OpenUpload]:
        """The uploads of one entry that were neither completed nor given up, oldest first."""
        return [upload for upload in self.uploads.values() if upload.path == path]


def read(paths: Iterable[Path]) -> Record:
    """What the journals at ``paths`` tell, later lines over earlier ones."""
    record = Record()
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                _apply(record, json.loads(line))
            except ValueError:  # a line torn by a kill, or the empty one at the end
                continue
    return record


def _apply(record: Record, item: dict[str, Any]) -> None:
    if "done" in item:
        names = ("key", "size", "mtime_ns", "sha256", "etag", "version_id", "time")
        proof = Proof(item["done"], *(item[name] for name in names))
        record.done[proof.path] = (item["run"], proof)
    elif "upload" in item:
        names = ("id", "size", "sha256", "part_size", "key")
        record.uploads[item["id"]] = OpenUpload(item["upload"], *(item[name] for name in names))
    elif "part" in item and item["id"] in record.uploads:
        record.uploads[item["id"]].parts[item["part"]] = (item["etag"], item["sha256"])
    elif "closed" in item:
        record.uploads.pop(item["closed"], None)


class Journal:
    """The open journal of one running job; safe to use from several threads."""

    def __init__(self, path: Path, run: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._run = run
        if os.fstat(self._file).st_size:
            os.write(self._file, b"\n")  # ends the line a kill may have torn

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _append(self, **item: Any) -> None:
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def done(self, proof: Proof) -> None:
        """The entry is in the bucket and proven."""
        fields = proof._asdict()
        self._append(done=fields.pop("path"), run=self._run, **fields)

    def upload(self, upload: OpenUpload) -> None:
        """A multipart upload was opened."""
        self._append(
            upload=upload.path,
            id=upload.id,
            size=upload.size,
            sha256=upload.sha256,
            part_size=upload.part_size,
            key=upload.key,
        )

    def part(self, upload_id: str, number: int, etag: str, sha256: str) -> None:
        """A part of an open multipart upload has arrived."""
        self._append(part=number, id=upload_id, etag=etag, sha256=sha256)

    def closed(self, upload_id: str) -> None:
        """A multipart upload was completed or given up."""
        self._append(closed=upload_id)
