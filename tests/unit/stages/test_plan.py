"""A plan that reads no file and asks S3 about no object says what the run then does."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.faults import Rewrite
from support.planning import World

BODIES = st.sampled_from([b"aaa", b"bbb", b"cccc"])
NAMES = "abcd"
NAME = st.sampled_from(NAMES)
RUN = st.tuples(st.sampled_from(["chain", "one job", "hash"]), st.sampled_from(["", *NAMES]))
CHANGE = st.one_of(
    st.tuples(st.just("write"), NAME, BODIES, st.booleans()),
    st.tuples(st.just("put"), NAME, BODIES),
    st.tuples(st.sampled_from(["remove", "delete"]), NAME),
)
# Four files on one side or both, a run, changes, perhaps a run, and one more change.
STEPS = st.tuples(
    st.tuples(*(st.tuples(st.sampled_from(["write", "put", "both"]), BODIES) for _ in NAMES)),
    st.lists(RUN, max_size=1),
    st.lists(CHANGE, min_size=1, max_size=3),
    st.lists(RUN, max_size=1),
    st.lists(CHANGE, max_size=1),
)

# What the run may find for an entry that the plan gives this status.
BECOMES = {"=": "=", "+": "+", "*": "*", "!": "!", "?": "=*!"}


@pytest.fixture
def world(tmp_path, s3, proxy, monkeypatch):
    """Makes one world after the other, each with a bucket and a folder of its own."""
    count = itertools.count()

    def make(direction="upload", **chosen):
        bucket = s3.make_bucket(f"plan-{os.getpid()}-{tmp_path.name[-20:].lower()}-{next(count)}")
        made = World(tmp_path / bucket, proxy, bucket, monkeypatch, direction, **chosen)
        made.client = s3.client()  # the proxy sees what Waybill asks for, and nothing else
        return made

    return make


@pytest.mark.timeout(600)
@pytest.mark.parametrize("direction", ["upload", "download"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=STEPS,
    compare=st.sampled_from(["sha256", "sha256", "sha256", "size", "mtime"]),
    overwrite=st.sampled_from(["if-changed", "if-changed", "never", "always"]),
)
def test_the_run_does_what_the_plan_says(world, direction, steps, compare, overwrite):
    here = world(direction, compare=compare, overwrite=overwrite)
    there, *later = steps
    for name, (what, body) in zip(NAMES, there, strict=True):
        here.do(what, name, body)
    for step in itertools.chain(*later):
        here.do(*step)
    here.look()
    here.proxy.clear()
    plan = here.plan()
    assert here.proxy.requests == []

    found = here.compared()
    for path, row in plan.items():
        if row["action"]:  # in a batch
            status, action = found.pop(path, ("=", "keep"))
            assert status in BECOMES[row["status"]], (row, status)
            if row["action"] != "look":
                assert action == row["action"], (row, status, action)
    assert not found

    wanted = {path for path, row in plan.items() if row["action"] == "move"}
    perhaps = {path for path, row in plan.items() if row["action"] == "look"}
    here.proxy.clear()
    here.run()
    op = "PutObject" if direction == "upload" else "GetObject"
    moved = {r.key.removeprefix("x/") for r in here.proxy.requests if r.op == op}
    moved = {path for path in moved if not path.startswith("manifests/")}
    assert wanted <= moved <= wanted | perhaps


def bytes_read() -> int:
    """How many bytes this process has read with calls of the system."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].removeprefix("rchar: "))


def test_a_terabyte_is_planned_without_reading_it(world):
    here = world()
    size = 50 << 30
    for i in range(20):
        file = here.data / f"f{i:02}"
        file.touch()
        os.truncate(file, size)  # takes no room
    for i in range(10):
        here.do("put", f"f{i:02}", b"!")
    grown = Rewrite(lambda body: body.replace(b"<Size>1<", b"<Size>%d<" % size))
    here.proxy.fault(grown, op="ListObjectsV2")
    before = bytes_read()
    here.look()
    plan = here.plan()
    assert bytes_read() - before < 16 << 20
    marks = [(row["status"], row["action"], row["size"]) for row in plan.values()]
    assert marks == [("?", "look", str(size))] * 10 + [("+", "move", str(size))] * 10


def test_what_failed_before_is_tried_again_and_not_told_again(world):
    """A plan has no job that would find out that a file can be read again."""
    here = world()
    here.do("write", "a", b"aaa", False)
    here.do("chain", "a")  # it was away
    failed = Path(here.layout_now.failures)
    assert [path.name.split(".")[0] for path in sorted(failed.iterdir())] == ["checksum", "upload"]
    here.look()
    assert list(failed.iterdir()) == []
    assert here.plan()["a"]["status"] == "+"
