"""One upload job by itself, between a folder and a server, without Snakemake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.proxy import Proxy, access_denied
from support.transfers import transfer_of
from waybill.model.difference import CHANGED, MOVE, NEW, Difference
from waybill.model.entries import Checksums, LocalEntry
from waybill.move.mover import Outcome
from waybill.move.upload import Uploader
from waybill.results import journal
from waybill.results.journal import Journal, Record


class Uploads:
    """Files, and jobs one after the other that put them under ``data/`` with one journal."""

    def __init__(self, folder: Path, bucket: str, **settings: Any) -> None:
        self.folder = folder / "out"
        self.folder.mkdir()
        self.journal = folder / "journal.jsonl"
        results = folder / "results"
        self.transfer = transfer_of(self.folder, bucket, "data/", results=results, **settings)

    def item(self, path: str, data: bytes, etag: str = "") -> Difference:
        """A file, as a diff tells it that saw no object, or one with this etag."""
        file = self.folder / path
        file.write_bytes(data)
        seen = file.stat()
        status = CHANGED if etag else NEW
        times = seen.st_mtime_ns, seen.st_ino
        return Difference(status, MOVE, path, len(data), *times, "", etag, "0", "")

    @property
    def record(self) -> Record:
        return journal.read([self.journal], "run")

    def run(
        self,
        *items: Difference,
        noted: Callable[[LocalEntry], Checksums | None] = lambda _: None,
    ) -> Outcome:
        with Journal(self.journal, "run") as open_journal:
            job = Uploader(
                self.transfer, open_journal, self.record, "run", False, lambda _: False, noted
            )
            return job.run(list(items))

    def leave_open(self, proxy: Proxy, *items: Difference) -> dict[str, str]:
        """Send the parts of large files by a job that may not complete their uploads; returns its
        messages by path."""
        broken = proxy.fault(access_denied(), op="CompleteMultipartUpload")
        failed = self.fail(*items)
        assert failed.keys() == {item.path for item in items}
        proxy.faults.remove(broken)
        return failed

    def fail(self, *items: Difference) -> dict[str, str]:
        """The messages of a job that fails, by path."""
        return {failure.path: failure.message for failure in self.run(*items).failed}
