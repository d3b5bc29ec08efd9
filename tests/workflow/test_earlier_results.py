"""Results that an earlier version wrote are taken over: nothing is sent again.

`results-81c658d.tar.gz` is what revision 81c658d left of an upload and a download of these files,
two in a batch, with the times that Snakemake compares. They are moved to the hour before the test,
because the clock of the machine may be behind the one that they were written by.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest

from support.downloads import remove_objects
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Results, Workflow, unescape
from waybill.cli.main import main

STORED = Path(__file__).with_name("results-81c658d.tar.gz")
BUCKET = "waybill-81c658d"
FILES = {
    "a/one.txt": b"one",
    "a/two ä.bin": bytes(range(256)) * 40,
    "b/empty": b"",
    "b/large.bin": random.Random(81).randbytes(1 << 20),
    "c\ttab": b"tab",
}


class Earlier(Workflow):
    """The folder of a user of that version, and the bucket as it was left."""

    def arrive(self, s3: S3Server) -> None:
        client = s3.client()
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        remove_objects(s3, BUCKET)  # those of another test
        with tarfile.open(STORED) as tar:
            tar.extractall(self.folder, filter="data")
        age_by_an_hour(self.folder / "results")
        results = self.results("up").root
        for folder, transfer in ((self.source, "up"), (self.folder / "copy", "down")):
            proofs = self.results(transfer).all("markers")
            assert proofs.keys() == FILES.keys()
            for path, body in FILES.items():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)
                os.utime(file, ns=(0, int(proofs[path]["mtime_ns"])))
                etag = client.put_object(Bucket=BUCKET, Key=f"up/{path}", Body=body)["ETag"]
                assert etag.strip('"') == proofs[path]["etag"]
        self.tell_inodes()
        published = json.loads((results / "published" / "up.json").read_text())
        manifest = (results / "manifests" / "up.json").read_bytes()
        client.put_object(Bucket=BUCKET, Key=published["key"], Body=manifest)
        there = f"s3://{BUCKET}/up/"
        two = {"batch.max_files": 2}
        down = {"source": there, "destination": str(self.folder / "copy")}
        self.configure(
            up={"destination": there, **two}, down={**down, "exclude": ["manifests/**"], **two}
        )

    def tell_inodes(self) -> None:
        """Have the tables of files tell the inodes that the files have here."""
        tables = [self.results("up").files(kind) for kind in ("inventory", "cache", "diff")]
        for table in (table for kind in tables for table in kind if ".remote." not in table.name):
            (header, *lines), kept = table.read_text().splitlines(), table.stat()
            names = header.split("\t")
            rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
            for row in rows:
                row["inode"] = str((self.source / unescape(row["path"])).stat().st_ino)
            told = ["\t".join(row.values()) for row in rows]
            table.write_text("\n".join([header, *told]) + "\n")
            os.utime(table, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def age_by_an_hour(folder: Path) -> None:
    """Set the newest mtime under a folder to an hour ago and keep all distances between them."""
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    ahead = max(times.values()) - (time.time_ns() - 3600 * 10**9)
    for path, mtime_ns in times.items():
        os.utime(path, ns=(mtime_ns - ahead, mtime_ns - ahead))


@pytest.fixture
def earlier(s3: S3Server, proxy: Proxy, tmp_path: Path) -> Earlier:
    found = Earlier(tmp_path / "work", proxy)
    found.arrive(s3)
    return found


def markers(results: Results) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in results.files("markers")}


def test_nothing_is_sent_again(earlier: Earlier, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: markers(earlier.results(name)) for name in ("up", "down")}
    for _ in range(2):
        run = earlier.run()
        assert run.operations == Counter(ListObjectsV2=2)
        assert [line.endswith("nothing to move") for line in run.lines] == [True, True]
        assert {name: markers(earlier.results(name)) for name in before} == before
    monkeypatch.chdir(earlier.folder)
    assert main(["status", "--config", "config.toml"]) == 0


def test_only_what_has_changed_since_is_sent(earlier: Earlier) -> None:
    earlier.write("a/one.txt", b"changed")
    earlier.write("new", b"new")
    run = earlier.run()
    assert run.data_puts == ["up/a/one.txt", "up/new"]
    assert sorted(r.key for r in run.requests if r.op == "GetObject") == []
    again = earlier.run("--until", "download")
    assert sorted(r.key for r in again.requests if r.op == "GetObject") == [
        "up/a/one.txt",
        "up/new",
    ]
