"""``kill -9`` of the whole process group, again and again: nothing is lost, nothing sent twice.
`make storm` kills at random moments, hundreds of times."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.objects import stored
from support.proxy import Delay, Fault, Proxy, Request
from support.server import S3Server
from support.workflow import Results, Running, Workflow, is_manifest

FILES = 120
BIG = "big.h5ad"
BIG_BYTES = 70 << 20  # above the limit for multipart, in five parts
LATENCY_SECONDS = 0.1  # so that kills meet uploads under way


def random_bytes(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)


class Killing:
    """One folder whose runs are killed, and what is known to be finished."""

    def __init__(self, workflow: Workflow, s3: S3Server, bucket: str) -> None:
        self.workflow, self.s3, self.bucket = workflow, s3, bucket
        self.proxy, self.client = workflow.proxy, s3.client()
        self.content: dict[str, bytes] = {}
        self.finished: set[tuple[str, str]] = set()  # (key, sha256), by the journals
        self.halfway = {"batch": 0, "multipart": 0}
        self.generation = 0
        self.change_everything()

    @property
    def results(self) -> Results:
        return self.workflow.results("t")

    def change_everything(self) -> None:
        """Other bytes in every file, so that a run has everything to do again."""
        self.generation += 1
        for i in range(FILES):
            self.content[f"plate{i % 7}/well{i:03}.csv"] = random_bytes((self.generation, i), 2000)
        self.content[BIG] = random_bytes((self.generation, BIG), BIG_BYTES)
        for path, data in self.content.items():
            self.workflow.write(path, data)

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.content[path]).hexdigest()

    def listing(self) -> dict[str, tuple[str, int]]:
        """Etag and size of every object of the transfer."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="data/"
        )
        objects = [entry for page in pages for entry in page.get("Contents", ())]
        return {entry["Key"]: (entry["ETag"].strip('"'), entry["Size"]) for entry in objects}

    def check_sent(self, requests: list[Request]) -> None:
        """Nothing was sent that a journal told to be finished before, and nothing twice."""
        big = self.sha256(BIG)
        sent = [
            (r.key, r.sha256) for r in requests if r.op == "PutObject" and not is_manifest(r.key)
        ]
        assert not self.finished.intersection(sent)
        assert len(set(sent)) == len(sent)
        if any(r.op in ("CreateMultipartUpload", "UploadPart") for r in requests):
            assert (f"data/{BIG}", big) not in self.finished

    def after_kill(self, requests: list[Request]) -> None:
        """What must hold however a run ended; ``requests`` are those of the killed run."""
        while any(r.seconds is None for r in requests):  # the server ends what has reached it
            time.sleep(0.01)
        self.check_sent(requests)
        there = self.listing()
        marked = self.results.all("markers")
        for row in marked.values():
            assert there[row["key"]] == (row["etag"], int(row["size"]))
        done, uploads = {}, set()
        for record in self.results.journal():
            if "done" in record:
                done[record["key"]] = record["sha256"]
            elif "upload" in record:
                uploads.add(record["id"])
            elif "closed" in record:
                uploads.discard(record["closed"])
        self.finished |= done.items()
        self.finished |= {(row["key"], row["sha256"]) for row in marked.values()}
        self.halfway["batch"] += bool(done.keys() - {row["key"] for row in marked.values()})
        self.halfway["multipart"] += bool(uploads)

    def check_all_right(self, *, download: bool = False) -> None:
        """Objects, markers and manifest tell the hash of every file; and the objects hold it."""
        marked = self.results.all("markers")
        listed = {f["key"]: f["sha256"] for f in self.results.manifest()["files"]}
        there = self.listing()
        assert marked.keys() == self.content.keys()
        assert len(listed) == len(self.content)
        for path, data in self.content.items():
            key = f"data/{path}"
            assert listed[key] == marked[path]["sha256"] == self.sha256(path)
            assert there[key] == (marked[path]["etag"], len(data))
            if path != BIG:
                assert there[key][0] == hashlib.md5(data).hexdigest()
            if download:
                assert stored(self.s3, self.bucket, key) == data


Reached = Callable[[Running], bool]


def at_once(_: Running) -> bool:
    return True


def answered(op: str, count: int) -> Reached:
    return lambda run: sum(r.status == 200 for r in run.requests if r.op == op) >= count


def finished(jobs: int) -> Reached:
    return lambda run: run.output().count(b"Finished jobid") >= jobs


def publishing(run: Running) -> bool:
    return any(r.op == "PutObject" and is_manifest(r.key) for r in run.requests)


def kill_when(killing: Killing, reached: Reached, *late: Fault) -> None:
    """One kill more, of a run that has come so far; what is ``late`` meets the kill under way."""
    killing.proxy.faults += late
    running = killing.workflow.start()
    deadline = time.monotonic() + 300
    while not reached(running):
        assert running.process.poll() is None, running.output().decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    running.kill()
    for fault in late:
        killing.proxy.faults.remove(fault)
    killing.after_kill(running.requests)


def kill_between(killing: Killing, op: str, count: int) -> None:
    """One kill more, after so many requests of a run: the others come when they come."""
    kill_when(killing, answered(op, count), Fault(Delay(2), op=op, after=count))


@pytest.mark.timeout(1800)
@pytest.mark.engine
def test_kills_in_a_row(s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path) -> None:
    """In each stage of a run, and in the middle of each kind of request."""
    proxy.latency = LATENCY_SECONDS
    work = Workflow(tmp_path / "work", proxy)
    killing = Killing(work, s3, bucket)
    batches = {"batch.max_files": 24, "batch.max_bytes": "32MiB"}
    work.configure(t={"destination": f"s3://{bucket}/data", **batches})

    kill_when(killing, at_once)
    kill_between(killing, "ListObjectsV2", 1)
    kill_when(killing, finished(1))
    kill_between(killing, "PutObject", 36)
    kill_between(killing, "UploadPart", 2)
    killing.change_everything()
    kill_between(killing, "PutObject", 60)
    kill_when(killing, finished(3))
    killing.change_everything()
    kill_between(killing, "CompleteMultipartUpload", 1)
    kill_when(killing, publishing, Fault(Delay(2), op="PutObject", key="data/manifests/*"))

    assert killing.halfway["batch"]
    assert killing.halfway["multipart"]
    proxy.latency = 0.0
    last = work.run()
    killing.check_sent(last.requests)
    killing.check_all_right(download=True)
    assert len(killing.results.files("markers")) > 8
    assert work.run().jobs == Counter(inventory=1, all=1)
