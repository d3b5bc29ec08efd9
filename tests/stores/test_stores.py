"""On servers of several makers: upload, change, run again, kill, download, verify: all is right.

Both sides are read here with boto3 and the file system alone.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from support.server import client_for
from support.workflow import Workflow

NAMES = ["plain.csv", "two words.txt", "café.txt", "a+b&c=d.txt", "per%20cent", "run 1/.hidden",
         "run 1/empty", "日本語/x.tif", "quote'\".txt", "star*[x].txt"]  # fmt: skip
BIG = "big.h5ad"
BIG_BYTES = 66 << 20  # above 64 MiB: it goes in parts
DEADLINE_SECONDS = 120

pytestmark = pytest.mark.parametrize("engine", ["boto3", "native"])


class Sides:
    """What the source has, and what bucket and destination should have."""

    def __init__(self, at: Workflow, store: str, bucket: str) -> None:
        self.at, self.bucket, self.client = at, bucket, client_for(store)
        self.rng = random.Random("stores")
        self.content: dict[str, bytes] = {}

    def write(self, path: str, size: int) -> None:
        self.content[path] = self.rng.randbytes(size)
        self.at.write(path, self.content[path])

    def objects(self) -> dict[str, bytes]:
        """Every object of the transfer but the manifests, by path."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="data/"
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {
            key.removeprefix("data/"): self.client.get_object(Bucket=self.bucket, Key=key)[
                "Body"
            ].read()
            for key in keys
            if not key.startswith("data/manifests/")
        }

    def agree(self) -> bool:
        """Whether the bucket holds every file, byte for byte, and no other."""
        return self.objects() == self.content

    def wait_for(self, op: str, count: int) -> None:
        """Until so many requests of an operation have reached the server."""
        end = time.monotonic() + DEADLINE_SECONDS
        while self.at.proxy.count(op=op) < count:
            assert time.monotonic() < end, f"no {count} requests {op}"
            time.sleep(0.005)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_upload_change_kill_download_verify(
    at: Workflow, store: str, bucket: str, engine: str
) -> None:
    sides = Sides(at, store, bucket)
    there, back = f"s3://{bucket}/data", at.folder / "back"
    at.configure(
        up={"destination": there, "engine": engine},
        down={"source": there, "destination": str(back), "engine": engine},
    )
    up, down = {"config": "transfers=up"}, {"config": "transfers=down"}
    for name in NAMES:
        sides.write(name, 0 if name.endswith("empty") else 3000)
    sides.write(BIG, BIG_BYTES)
    at.run(**up)
    assert sides.agree()
    assert at.run(**up).data_puts == []

    sides.write("plain.csv", 3000)  # as long as before
    sides.write("two words.txt", 5)
    sides.write(BIG, BIG_BYTES)
    sides.write("new.csv", 100)
    at.run(**up)
    assert sides.agree()

    for i in range(60):
        sides.write(f"many/{i}.csv", 2000)
    sides.write(BIG, BIG_BYTES)
    at.proxy.clear()
    running = at.start(**up)
    sides.wait_for("PutObject", 20)
    running.kill()
    at.proxy.clear()
    running = at.start(**up)
    sides.wait_for("UploadPart", 2)
    running.kill()
    at.run(**up)
    assert sides.agree()
    assert _open_uploads(sides) == []
    assert at.run(**up).data_puts == []

    at.proxy.clear()
    running = at.start(**down)
    sides.wait_for("GetObject", 10)
    running.kill()
    at.run(**down)
    assert files_of(back) == sides.content
    assert at.run(**down).operations["GetObject"] == 0
    for verified in (up, down):
        at.run("verify", **verified)


def test_an_object_that_somebody_else_changed_is_put_right(
    at: Workflow, store: str, bucket: str, engine: str
) -> None:
    sides = Sides(at, store, bucket)
    at.configure(up={"destination": f"s3://{bucket}/data", "engine": engine})
    for name in NAMES:
        sides.write(name, 3000)
    at.run()
    kept = sides.client.head_object(Bucket=bucket, Key="data/plain.csv")["Metadata"]
    client = sides.client
    client.put_object(Bucket=bucket, Key="data/plain.csv", Body=b"x" * 3000, Metadata=kept)
    client.put_object(Bucket=bucket, Key="data/two words.txt", Body=b"other")
    client.delete_object(Bucket=bucket, Key="data/per%20cent")
    at.run()
    assert sides.agree()


def _open_uploads(sides: Sides) -> list[str]:
    answer = sides.client.list_multipart_uploads(Bucket=sides.bucket)
    return [upload["Key"] for upload in answer.get("Uploads", ())]
