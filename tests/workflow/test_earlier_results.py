"""Results that an earlier version wrote are taken over: nothing is sent again.

`results-81c658d.tar.gz` is what revision 81c658d left of an upload and a download of these files,
two in a batch, with the distances in time that Snakemake heeds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.downloads import remove_objects
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Results, Workflow, unescape
from waybill.cli.main import main

SCRIPTS = Path(__file__).parents[2] / "scripts"
STORED = Path(__file__).with_name("results-81c658d.tar.gz")
BUCKET = "waybill-81c658d"
SOURCE_THEN = "/data/waybill/data"  # in the manifest
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
        age(self.folder / "results")
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
        manifest = rewritten(
            results / "manifests" / "up.json",
            lambda text: text.replace(SOURCE_THEN, str(self.source)),
        )
        digests = {"sha256": sha256(manifest), "etag": md5(manifest), "size": len(manifest)}
        published = json.loads(
            rewritten(
                results / "published" / "up.json",
                lambda text: json.dumps({**json.loads(text), **digests}, indent=1),
            )
        )
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
            rewritten(table, self._with_inodes)

    def _with_inodes(self, text: str) -> str:
        header, *lines = text.splitlines()
        names = header.split("\t")
        rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
        for row in rows:
            row["inode"] = str((self.source / unescape(row["path"])).stat().st_ino)
        return "\n".join([header, *("\t".join(row.values()) for row in rows)]) + "\n"


def rewritten(path: Path, change: Callable[[str], str]) -> bytes:
    """Change the text of a file and leave its times; its bytes."""
    kept = path.stat()
    path.write_text(change(path.read_text()))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    return path.read_bytes()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def age(folder: Path) -> None:
    """Make the newest file under a folder an hour older than the scripts of the rules, as they are
    in a clone that is newer than the results; keep all distances between them. Snakemake runs the
    jobs of such results again."""
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    scripts = min(path.stat().st_mtime_ns for path in SCRIPTS.glob("*.py"))
    ahead = max(times.values()) - (scripts - 3600 * 10**9)
    for path, mtime_ns in times.items():
        os.utime(path, ns=(mtime_ns - ahead, mtime_ns - ahead))


@pytest.fixture
def earlier(s3: S3Server, proxy: Proxy, tmp_path: Path) -> Earlier:
    found = Earlier(tmp_path / "work", proxy)
    found.arrive(s3)
    return found


def proofs(results: Results) -> dict[str, list[str]]:
    """The columns of the markers that that version wrote, by path."""
    return {path: [*row.values()][:8] for path, row in results.all("markers").items()}


def test_nothing_is_sent_again(earlier: Earlier, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: proofs(earlier.results(name)) for name in ("up", "down")}
    looks = Counter(HeadObject=1, GetObject=1)  # whether the published manifest is this one
    for more in (looks, Counter()):
        run = earlier.run()
        assert run.operations == Counter(ListObjectsV2=2) + more
        assert [
            line.endswith("nothing to move") for line in run.lines if ": took " not in line
        ] == [True, True]
        assert {name: proofs(earlier.results(name)) for name in before} == before
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
