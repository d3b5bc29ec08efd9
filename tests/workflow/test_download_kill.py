"""``kill -9`` of downloads, again and again: no file is ever wrong under its own name, and nothing
that is there is fetched twice. And two downloads into one folder: the second refuses."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.downloads import MIB, RangeFault, files, range_number, remove_objects, unfinished
from support.proxy import Call, Proxy
from support.server import S3Server
from support.workflow import Results, Running, Workflow

RUN_KILLS, JOB_KILLS = 2, 6
SEED = 3
FILES = 120
BIG = "big.h5ad"
BIG_BYTES = 100 * MIB
RANGES = 7
LATENCY_SECONDS = 0.1  # so that kills meet requests under way


def some_bytes(size: int) -> bytes:
    rng = random.Random(size)
    block = rng.randbytes(MIB)
    return b"".join(rng.randbytes(8) + block for _ in range(size // MIB + 1))[:size]


@dataclass
class Killing:
    """One folder whose downloads are killed, and what is known to be finished."""

    workflow: Workflow
    content: dict[str, bytes]
    ranges: set[int] = field(default_factory=set)  # of BIG, by the journal
    done: set[str] = field(default_factory=set)  # paths, by the journals
    seen: int = 0  # requests that were looked at
    halfway: Counter[str] = field(default_factory=Counter)

    @property
    def folder(self) -> Path:
        return self.workflow.folder / "back"

    @property
    def results(self) -> Results:
        return self.workflow.results("t")

    def check(self) -> None:
        """What must hold at any moment."""
        for path, data in files(self.folder).items():
            assert data == self.content[path], path
        self.check_fetched()
        records = self.results.journal()
        ids = [r["id"] for r in records if r.get("download") == BIG]
        assert len(ids) <= 1  # it is not begun anew
        self.ranges |= {r["range"] for r in records if r.get("id") in ids and "range" in r}
        self.done |= {r["done"] for r in records if "done" in r}
        self.halfway["ranges"] += bool(self.ranges) and BIG not in self.done
        self.halfway["files"] += 0 < len(self.done - {BIG}) < FILES

    def check_fetched(self) -> None:
        """Nothing was asked for since the last look that was known to be there by then."""
        requests = [r for r in self.workflow.proxy.requests[self.seen :] if r.op == "GetObject"]
        self.seen += len(self.workflow.proxy.requests[self.seen :])
        paths = {r.key.removeprefix("data/") for r in requests}
        assert not self.done & paths
        assert not self.ranges & {range_number(r) for r in requests if r.key == f"data/{BIG}"}


def jobs(running: Running) -> list[int]:
    """The processes of a run that are downloads."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = os.getpgid(int(process.name)) == running.process.pid
            if ours and b".download.py" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (OSError, ProcessLookupError):
            continue  # it has ended
    return sorted(found)


@pytest.fixture
def killing(s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path) -> Iterator[Killing]:
    rng = random.Random(1)
    content = {f"plate{i % 7}/well{i:03}.csv": rng.randbytes(2000) for i in range(FILES)}
    content[BIG] = some_bytes(BIG_BYTES)
    client = s3.client()
    for path, data in content.items():
        client.put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    workflow = Workflow(tmp_path, proxy, forks=False)
    yield Killing(workflow, content)
    remove_objects(s3, bucket)


def wait_for(running: Running, condition: Callable[[], object]) -> None:
    """Wait until it holds; the run must not end before."""
    deadline = time.monotonic() + 120
    while not condition():
        assert running.process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def asks(running: Running, since: int = 0) -> Callable[[], bool]:
    """Whether a run has asked for an object, after the first ``since`` of its requests."""
    return lambda: any(r.op == "GetObject" for r in running.requests[since:])


def kill_runs(killing: Killing, rng: random.Random, *, count: int) -> None:
    """Kill whole runs, all but one of them while they download."""
    for number in range(count):
        running = killing.workflow.start()
        if number:
            wait_for(running, asks(running))
        time.sleep(rng.uniform(0, 1.5))
        running.kill()
        killing.check()


def kill_halfway(killing: Killing, what: str) -> None:
    """Kill a run when the journals tell of a first ``done`` or ``range``."""
    running = killing.workflow.start()
    wait_for(running, lambda: any(what in record for record in killing.results.journal()))
    running.kill()
    killing.check()


def kill_jobs(killing: Killing, rng: random.Random, *, count: int) -> None:
    """Kill single jobs of one run, as a machine short of memory does; Snakemake starts them
    again."""
    running = killing.workflow.start(options=["--retries", "99", "--cores", "2"])
    for _ in range(count):
        asked, latest = asks(running, len(running.requests)), time.monotonic() + 3
        wait_for(running, lambda asked=asked, end=latest: asked() or time.monotonic() > end)
        time.sleep(rng.uniform(0, 0.5))
        wait_for(running, lambda: jobs(running))
        os.kill(rng.choice(jobs(running)), signal.SIGKILL)
        killing.check()
    running.kill()
    killing.check()


@pytest.mark.timeout(1800)
@pytest.mark.engine
def test_kills_in_a_row(killing: Killing, bucket: str) -> None:
    """Of a run with two jobs: one for many files, one for a large object whose last range is not
    answered as long as there is something left to kill."""
    killing.workflow.configure(
        t={
            "source": f"s3://{bucket}/data",
            "destination": str(killing.folder),
            "batch.max_bytes": "32MiB",
            "max_concurrency": 2,
        }
    )
    rng = random.Random(SEED)
    proxy = killing.workflow.proxy
    proxy.latency = LATENCY_SECONDS
    go_on = threading.Event()
    last_range = RangeFault(Call(lambda _: go_on.wait(120)), key=f"data/{BIG}", number=RANGES)
    proxy.faults.append(last_range)
    for what in ("done", "range"):
        kill_halfway(killing, what)
    kill_runs(killing, rng, count=RUN_KILLS)
    kill_jobs(killing, rng, count=JOB_KILLS)
    assert killing.halfway["ranges"]
    assert killing.halfway["files"]

    proxy.latency = 0.0
    go_on.set()
    last = killing.workflow.run()
    killing.check()
    assert killing.results.all("markers").keys() == killing.content.keys()
    assert files(killing.folder) == killing.content
    assert unfinished(killing.folder) == []
    sha256 = {path: hashlib.sha256(data).hexdigest() for path, data in killing.content.items()}
    assert killing.results.checksums() == sha256
    assert {f["filename"]: f["sha256"] for f in killing.results.manifest()["files"]} == sha256
    assert last.lines[-1].startswith(f"waybill: t: {FILES + 1} files, ")
    again = killing.workflow.run()
    assert again.jobs == Counter(inventory=1, all=1)
    assert again.operations == Counter(ListObjectsV2=1)


def test_two_downloads_into_one_folder(
    s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path
) -> None:
    content = {f"f{i}": b"%d" % i * 1000 for i in range(20)}
    for path, data in content.items():
        s3.client().put_object(Bucket=bucket, Key=f"data/{path}", Body=data)
    back = tmp_path / "back"
    settings = {"source": f"s3://{bucket}/data", "destination": str(back)}
    first, beside = (Workflow(tmp_path / n, proxy, forks=False) for n in ("first", "beside"))
    for workflow in (first, beside):
        workflow.configure(t=settings)
    go_on = threading.Event()
    proxy.fault(Call(lambda _: go_on.wait(60)), op="GetObject")
    running = first.start()
    wait_for(running, asks(running))
    count = len(proxy.requests)
    try:
        for workflow, clear in (
            (first, f"results/t: another run is at work here (process {running.process.pid} on "),
            (beside, f"{back}: another run downloads into this folder; wait until it has ended"),
        ):
            second = workflow.run(code=1)
            assert second.lines[0].startswith(f"waybill: t: FAILED {clear}")
            assert not second.jobs
    finally:
        go_on.set()
    assert all(r.op == "GetObject" for r in proxy.requests[count:])  # of the first
    ended = running.wait().ended(0)
    assert files(back) == content
    assert unfinished(back) == []
    assert "; 20 moved, " in ended.lines[-1]
