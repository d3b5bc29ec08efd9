"""``kill -9`` of the whole process group, again and again: nothing is lost, nothing sent twice."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from support.objects import stored
from support.proxy import Delay, Proxy, Request
from support.server import S3Server
from support.workflow import Results, Workflow, is_manifest

KILLS = 8  # `make storm` has hundreds
SEED = 20
START = 0.2  # the share of a run before its first upload
FILES = 300
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


def kill_between(killing: Killing, op: str, count: int) -> None:
    """One kill more, after so many requests of a run: the others come when they come."""
    slow = killing.proxy.fault(Delay(2), op=op, after=count)
    running = killing.workflow.start()
    deadline = time.monotonic() + 120
    while sum(r.status == 200 for r in running.requests if r.op == op) < count:
        assert running.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    running.kill()
    killing.proxy.faults.remove(slow)
    killing.after_kill(running.requests)


@pytest.mark.timeout(1800)
def test_kills_in_a_row(s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path) -> None:
    proxy.latency = LATENCY_SECONDS
    batches = {"batch.max_files": 60, "batch.max_bytes": "32MiB"}
    work, twin = Workflow(tmp_path / "work", proxy), Workflow(tmp_path / "twin", proxy)
    killing = Killing(work, s3, bucket)
    # A run that nobody kills tells how far the moments must reach.
    twin.configure(t={"source": str(work.source), "destination": f"s3://{bucket}/twin", **batches})
    whole = twin.run()
    assert whole.jobs["upload"] == 9
    rng = random.Random(SEED)
    moments = [(i + rng.random()) / KILLS for i in range(KILLS)]  # of a run that does everything

    work.configure(t={"destination": f"s3://{bucket}/data", **batches})
    kill_between(killing, "PutObject", 90)
    kill_between(killing, "UploadPart", 2)
    early_ends = 0
    duration, left = whole.seconds, 0.5  # ``left``: about the share of it there is to do
    while moments:
        within = [moment for moment in moments if moment < left]
        if not within:
            killing.change_everything()
            left = 1.1
            continue
        moment = rng.choice(within)
        running = work.start()
        try:
            running.process.wait(moment * duration)
        except subprocess.TimeoutExpired:
            running.kill()
            killing.after_kill(running.requests)
            moments.remove(moment)
            left -= max(0.0, moment - START)
        else:  # it had less to do than expected
            ended = running.wait().ended(0)
            killing.check_sent(ended.requests)
            killing.check_all_right()
            early_ends += 1
            assert early_ends < KILLS, f"no run takes {moment} of {duration} s"
            if left > 1:  # the machine has become faster
                duration = ended.seconds
            left = 0.0

    assert killing.halfway["batch"]
    assert killing.halfway["multipart"]
    proxy.latency = 0.0
    last = work.run()
    killing.check_sent(last.requests)
    killing.check_all_right(download=True)
    assert work.run().jobs == Counter(inventory=1, all=1)
