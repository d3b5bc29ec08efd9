"""A world: a folder and a bucket, what storms did to them, and every content each name ever had."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storm.checker import Content, Eyes
from storm.wire import StormProxy
from support.server import S3Server
from support.workflow import Workflow

PREFIX = "data/"
PUBLISHED = "data/manifests/"
KNOWN = {"source", "dest", "results", "config.toml", "output.log", ".snakemake", "storm"}
NAMES = [
    "plain.csv", "two words.txt", "tab\there", "line\nbreak", "quote'\"d", "back\\slash", "café",
    "cafe\u0301", "per%20cent", "plus+plus", "semi;colon&amp;=", "hash#?query", ".hidden", "~tilde",
    "star*[x]", "carriage\rreturn", "日本語", "trailing ", "$HOME", "{braces}", "..dots", "dots..",
    "-dash", "CON", "<tag>", "😀", "x" * 180,
]  # fmt: skip
FOLDERS = ["", "", "run1/", "run1/deep er/", "wéird/", ".dot/"]
MULTIPART_BYTES = 66 << 20  # Waybill sends files above 64 MiB in parts


class World:
    """One world; ``story`` is what happened in it, a line each."""

    def __init__(self, server: S3Server, folder: Path, rng: random.Random, *, lean: bool) -> None:
        self.folder, self.client = folder, server.client()
        self.bucket = server.make_bucket(f"storm-{rng.getrandbits(48):012x}-{os.getpid()}")
        self.proxy = StormProxy(server.endpoint_url)
        self.workflow = Workflow(folder, self.proxy, forks=False)
        self.lean = lean  # the jobs of a run that nobody shoots at are forks
        self.eyes = Eyes(self.client, self.bucket, PREFIX, PUBLISHED)
        self.history: dict[str, set[str]] = defaultdict(set)
        self.source_now: dict[str, Content] = {}
        self.strangers: set[str] = set()
        self.manifests: dict[str, bytes] = {}
        self.story: list[str] = []
        self.touched: set[str] = set()  # paths that changed since the run began
        self.claims: set[str] = set()  # paths whose object may carry a false source-sha256
        self.undo: list[Callable[[], object]] = []  # what no run can get right
        self.damaged = False  # results were damaged, and no run has had the chance to say so
        self.uploads_unknown = False  # with the journal went what was known of open uploads
        self.lock = threading.RLock()
        self.aside = folder / "storm"
        self.aside.mkdir()
        self.dest.mkdir()
        self.most_files = rng.choice([5000, 5000, 12])
        for _ in range(rng.randint(3, 8) if lean else rng.randint(8, 30)):
            self.put_file(self.new_name(rng), self.new_bytes(rng))
        for _ in range(rng.choice([2, 5, 12])):
            self.put_object(self.new_name(rng), self.new_bytes(rng))
        if not lean and rng.random() < 0.25:
            size = rng.choice([17 << 20, MULTIPART_BYTES, MULTIPART_BYTES + 12345])
            self.put_file("big.h5ad", rng.randbytes(size))

    @property
    def source(self) -> Path:
        return self.workflow.source

    @property
    def dest(self) -> Path:
        return self.folder / "dest"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def configure(self, transfer: str, engine: str) -> None:
        """Write the configuration of the next run."""
        there = f"s3://{self.bucket}/{PREFIX}"
        ends = {"up": (self.source, there), "down": (there, self.dest)}[transfer]
        settings: dict[str, Any] = {"engine": engine, "batch.max_files": self.most_files}
        settings |= {"source": str(ends[0]), "destination": str(ends[1])}
        self.workflow.configure(**{transfer: settings})

    def close(self, *, keep: bool) -> None:
        """End it: the proxy, the bucket and, unless it is kept, the folder."""
        self.proxy.close()
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for key in [e["Key"] for page in pages for e in page.get("Contents", ())]:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        if not keep:
            shutil.rmtree(self.folder)

    # Names and bytes

    def new_name(self, rng: random.Random) -> str:
        return rng.choice(FOLDERS) + rng.choice([*NAMES, f"f{rng.randrange(40)}.csv"])

    def new_bytes(self, rng: random.Random) -> bytes:
        return rng.randbytes(rng.choice([0, 1, 7, 300, 300, 2000, 2000, 20000, 90000]))

    def pick_file(self, rng: random.Random) -> str:
        return rng.choice(sorted(self.source_now)) if self.source_now else "plain.csv"

    def keys(self) -> list[str]:
        """The paths of all objects that are data."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=PREFIX
        )
        keys = (e["Key"] for page in pages for e in page.get("Contents", ()))
        return sorted(k.removeprefix(PREFIX) for k in keys if not k.startswith(PUBLISHED))

    # The source

    def put_file(self, path: str, data: bytes, *, in_place: bool = False) -> None:
        """Write a source file: at one blow, or over the one that is there."""
        target = self.source / path
        with self.lock:
            self.note(path, data)
            self.source_now[path] = Content(len(data), hashlib.sha256(data).hexdigest())
            target.parent.mkdir(parents=True, exist_ok=True)
            if in_place:
                with target.open("r+b" if target.exists() else "wb") as file:
                    file.write(data)
                    file.truncate()
            else:
                self._swap(target, data)

    def drop_file(self, path: str) -> None:
        with self.lock:
            self.touched.add(path)
            self.source_now.pop(path, None)
            (self.source / path).unlink(missing_ok=True)

    # The bucket

    def put_object(self, path: str, data: bytes, **settings: Any) -> None:
        with self.lock:
            self.note(path, data)
            self.client.put_object(Bucket=self.bucket, Key=PREFIX + path, Body=data, **settings)

    def get_object(self, path: str) -> tuple[bytes, dict[str, Any]]:
        answer = self.client.get_object(Bucket=self.bucket, Key=PREFIX + path)
        return answer["Body"].read(), answer

    def drop_object(self, path: str) -> None:
        with self.lock:
            self.touched.add(path)
            self.client.delete_object(Bucket=self.bucket, Key=PREFIX + path)

    def lies(self) -> set[str]:
        """The paths whose object says a hash of other bytes."""
        false = set()
        for path in self.claims & set(self.keys()):
            body, answer = self.get_object(path)
            told = answer["Metadata"].get("source-sha256")
            if told and told != hashlib.sha256(body).hexdigest():
                false.add(path)
        self.claims = set(false)
        return false

    def mend_lies(self) -> None:
        """What the owner of objects with false metadata has to do."""
        for path in self.lies():
            body, _ = self.get_object(path)
            self.put_object(path, body)
        self.claims.clear()

    # The destination of downloads

    def put_dest(self, path: str, data: bytes) -> None:
        with self.lock:
            self.note(path, data)
            target = self.dest / path
            if target.parent.is_dir() and not target.is_dir():
                self._swap(target, data)

    def drop_dest(self, path: str) -> None:
        with self.lock:
            self.touched.add(path)
            (self.dest / path).unlink(missing_ok=True)

    def dest_files(self) -> list[str]:
        found = (p for p in self.dest.rglob("*") if p.is_file() and p.suffix != ".part")
        return sorted(p.relative_to(self.dest).as_posix() for p in found)

    def note(self, path: str, data: bytes) -> None:
        """These bytes may stand under this name from now on."""
        self.history[path].add(hashlib.sha256(data).hexdigest())
        self.touched.add(path)

    def _swap(self, target: Path, data: bytes) -> None:
        new = self.aside / "new"
        new.write_bytes(data)
        new.replace(target)
