"""The journal of a batch: finished entries and open multipart transfers, one JSON line each.

``journal/{dataset}/{batch}.jsonl`` is append-only and never a Snakemake output. A line is one
``write`` to a file opened with O_APPEND, so a killed job leaves at most one torn last line, which
is ignored. Each line ends in ``crc``, the CRC-32 of it without that member; a damaged line is
ignored too, and named. Two copies of one job take turns, by a lock on the file. Records:

``{"done": path, "run", "size", "mtime_ns", "sha256", "key", "etag", "version_id", "time",
"inode"}``
``{"upload": path, "id", "size", "sha256", "part_size", "key", "checksum"}``
                                                                a multipart upload was opened
``{"part": number, "id", "etag", "mark"}``                         one part of it has arrived
``{"closed": id}``                                                 it was completed or given up
``{"download": path, "id", "etag", "size", "part_size"}``          a download in ranges was begun
``{"range": number, "id"}``                                        one range of it is in its file
``{"listing": run}``                                   an inventory is about to list the destination
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waybill.results.marker import Proof
from waybill.system.locks import Lock, try_lock

log = logging.getLogger(__name__)

# How long another copy of a job may write nothing before it is taken for lost.
SILENT_SECONDS = 600
POLL_SECONDS = 0.5

_CRC = re.compile(r',"crc":"([0-9a-f]{8})"}$')
_json = json.JSONEncoder(separators=(",", ":")).encode

_holding: list[Journal] = []  # those with records that are to be written together


@dataclass(slots=True)
class OpenUpload:
    """A multipart upload that was begun. ``checksum`` is its kind of checksum
    (``s3.part_checksums.Kind``); an earlier version had only SHA256. ``parts`` maps a part number
    to its etag and its mark in hex: the SHA-256 of the part for kind SHA256, else its CRC-64/NVME.
    """

    path: str
    id: str
    size: int
    sha256: str
    part_size: int
    key: str
    checksum: str = "SHA256"
    parts: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class OpenDownload:
    """A download in ranges that was begun: ``ranges`` are the numbers of those in the file."""

    path: str
    id: str
    etag: str
    size: int
    part_size: int
    ranges: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Record:
    """What the journals of a batch tell: ``done`` maps a path to (run, proof), where ``run`` names
    the last inventory whose listing is older than the proof. ``damaged`` names the lines that are
    not as they were written, ``file:line`` each."""

    done: dict[str, tuple[str, Proof]] = field(default_factory=dict)
    uploads: dict[str, OpenUpload] = field(default_factory=dict)
    downloads: dict[str, OpenDownload] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def moved(self, run: str) -> dict[str, int]:
        """The size in bytes of each entry that was moved after the inventory ``run``, by path."""
        return {path: proof.size for path, (written, proof) in self.done.items() if written == run}

    def in_parts(self) -> dict[str, int]:
        """How many bytes are there of each file that is moved in parts, by path; what was begun
        last counts. It may have arrived as a whole meanwhile."""
        begun = [(upload, upload.parts) for upload in self.uploads.values()]
        begun += [(download, download.ranges) for download in self.downloads.values()]
        return {
            one.path: sum(min(one.part_size, one.size - (n - 1) * one.part_size) for n in numbers)
            for one, numbers in begun
        }

    def tell(self) -> None:
        """Name damaged lines, if there are any."""
        if self.damaged:
            count = len(self.damaged)
            log.warning(
                "%s: damaged, %d lines of the journal; what they told is looked at again",
                self.damaged[0], count,
            )  # fmt: skip

    def open_uploads(self, path: str) -> list[OpenUpload]:
        """The uploads of one entry that were neither completed nor given up, oldest first."""
        return [upload for upload in list(self.uploads.values()) if upload.path == path]

    def open_download(self, path: str) -> OpenDownload | None:
        """The download of one entry that was begun last and not ended."""
        found = [download for download in list(self.downloads.values()) if download.path == path]
        return found[-1] if found else None


def read(paths: Iterable[Path], run: str = "") -> Record:
    """What the journals at ``paths`` tell, later lines over earlier ones.

    ``run`` names the last inventory. That inventory has written a ``listing`` line into each
    journal it found. A journal without such a line was begun after it listed the destination, even
    if a job of an earlier run writes the journal.
    """
    record = Record()
    for path in paths:
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            continue
        listing = run
        items = [(number, _parsed(line)) for number, line in enumerate(lines, 1)]
        if any(item and "listing" in item for _, item in items):
            listing = ""
        for number, item in items:
            try:
                if item is None:
                    raise ValueError
                listing = item.get("listing", listing)
                _apply(record, item, listing)
            except (ValueError, LookupError, TypeError):
                record.damaged.append(f"{path}:{number}")
    return record


def moved(path: Path, run: str) -> dict[str, int]:
    """The size in bytes of each entry that a journal says was moved after the inventory ``run``, by
    path."""
    return read([path], run).moved(run)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The record in a line. It is empty for an empty line and for a line torn by a kill, and None
    for a damaged line. A line without a CRC, of an earlier version, is not checked."""
    if not line:
        return {}
    try:
        text = line.decode()
        if found := _CRC.search(text):
            body = text[: found.start()] + "}"
            if zlib.crc32(body.encode()) != int(found[1], 16):
                return None
        item = json.loads(text)
    except ValueError:
        is_torn = line.startswith(b'{"'[: len(line)]) and line.isascii() and line[-1:] != b"}"
        return {} if is_torn else None
    return item if isinstance(item, dict) else None


def _apply(record: Record, item: dict[str, Any], listing: str) -> None:
    if "done" in item:
        names = ("key", "size", "mtime_ns", "sha256", "etag", "version_id", "time")
        proof = Proof(item["done"], *(item[name] for name in names), inode=item.get("inode", 0))
        record.done[proof.path] = (listing or item["run"], proof)
    elif "upload" in item:
        names = ("id", "size", "sha256", "part_size", "key")
        fields, kind = [item[name] for name in names], item.get("checksum", "SHA256")
        record.uploads[item["id"]] = OpenUpload(item["upload"], *fields, checksum=kind)
    elif "part" in item:
        if item["id"] in record.uploads:
            # An earlier version had ``sha256`` in the place of ``mark``.
            mark = item["mark"] if "mark" in item else item["sha256"]
            record.uploads[item["id"]].parts[item["part"]] = (item["etag"], mark)
    elif "download" in item:
        names = ("id", "etag", "size", "part_size")
        record.downloads[item["id"]] = OpenDownload(item["download"], *(item[n] for n in names))
    elif "range" in item:
        if item["id"] in record.downloads:
            record.downloads[item["id"]].ranges.add(item["range"])
    elif "closed" in item:
        record.uploads.pop(item["closed"], None)
        record.downloads.pop(item["closed"], None)


def _line(item: dict[str, Any]) -> bytes:
    """A record as a line of its own."""
    text = _json(item)
    return f'{text[:-1]},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def mark_listing(path: Path, run: str) -> None:
    """Note that what follows is later than the listing of the inventory ``run``."""
    with path.open("ab") as file:
        file.write(b"\n" + _line({"listing": run}))


def flush() -> None:
    """Write the lines that open journals hold back, because the process is about to end."""
    for journal in _holding:
        if journal._held:
            journal._write(b"".join(journal._held))


class Journal:
    """The open journal of one running job; safe to use from several threads.

    SLURM may run one job twice, and the jobs of a killed Snakemake go on. So the second copy of a
    job waits until the first has ended, and then finds the finished entries in the journal. Copies
    work side by side if their file system has no locks or the first is silent for
    ``SILENT_SECONDS``. That is slower, but not wrong.
    """

    def __init__(self, path: Path, run: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._run = run
        self._held: list[bytes] | None = None
        self._wait_for_turn(path)
        if os.fstat(self._file).st_size:
            os.write(self._file, b"\n")  # ends the line a kill may have torn

    def _wait_for_turn(self, path: Path) -> None:
        """Take the lock, which ends with this process. While another copy of the job holds it, wait
        as long as the journal grows."""
        size, since = -1, time.monotonic()
        while True:
            found = try_lock(self._file)
            if found is Lock.UNSUPPORTED:
                log.info("%s cannot be locked: the file system has no locks", path)
            if found is not Lock.BUSY:
                return
            if size < 0:
                log.info("another copy of this job is at work; waiting for it")
            now = os.fstat(self._file).st_size
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > SILENT_SECONDS:
                log.warning("another copy of this job is silent; going on beside it")
                return
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        file, self._file = self._file, -1  # a thread that comes late must not find another's
        os.close(file)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all records of this block in one go at its end. Only one thread may add records
        meanwhile."""
        self._held = []
        _holding.append(self)
        try:
            yield
        finally:
            _holding.remove(self)
            held, self._held = self._held, None
            if held:
                self._write(b"".join(held))

    def _append(self, **item: Any) -> None:
        self._write(_line(item))

    def _write(self, lines: bytes) -> None:
        if os.write(self._file, lines) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def done(self, proof: Proof) -> None:
        """The entry is in the bucket and proven."""
        fields = proof._asdict()
        line = _line({"done": fields.pop("path"), "run": self._run, **fields})
        if self._held is None:
            self._write(line)
        else:
            self._held.append(line)

    def upload(self, upload: OpenUpload) -> None:
        """A multipart upload was opened."""
        self._append(
            upload=upload.path,
            id=upload.id,
            size=upload.size,
            sha256=upload.sha256,
            part_size=upload.part_size,
            key=upload.key,
            checksum=upload.checksum,
        )

    def part(self, upload_id: str, number: int, etag: str, mark: str) -> None:
        """A part of an open multipart upload has arrived."""
        self._append(part=number, id=upload_id, etag=etag, mark=mark)

    def download(self, download: OpenDownload) -> None:
        """A download in ranges was begun."""
        self._append(
            download=download.path,
            id=download.id,
            etag=download.etag,
            size=download.size,
            part_size=download.part_size,
        )

    def range(self, download_id: str, number: int) -> None:
        """A range of an open download is in its file."""
        self._append(range=number, id=download_id)

    def closed(self, open_id: str) -> None:
        """A multipart upload or a download in ranges was completed or given up."""
        self._append(closed=open_id)
