"""What an estimate tells is what the run then takes."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from support.planning import World
from support.transfers import transfer_of
from waybill.cli import estimate
from waybill.cli import plan as planning
from waybill.cli.estimate import Budget, Prices
from waybill.results import history
from waybill.results.layout import Layout
from waybill.s3.parts import MULTIPART_ABOVE_BYTES

LARGE = MULTIPART_ABOVE_BYTES + 1


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_the_requests_are_those_of_the_run(tmp_path, proxy, bucket, monkeypatch, direction):
    here = World(tmp_path / "w", proxy, bucket, monkeypatch, direction)
    for name, size in (("small", 10), ("empty", 0), ("large", LARGE), ("same", 3)):
        if direction == "upload":
            (here.data / name).touch()
            os.truncate(here.data / name, size)
        else:
            here.do("put", name, b"x" * size)
    here.do("both", "same", b"abc")
    proxy.clear()
    here.look()
    here.plan()
    plan = planning.read(here.layout_now.plan)
    assert [move.path for move in plan.unsure] == ["same"]
    told = estimate.requests_of(plan, here.transfer_now)
    here.run()
    seen = Counter(request.op for request in proxy.requests)
    assert seen["PutObject"] == told.put
    assert (seen["CreateMultipartUpload"], seen["CompleteMultipartUpload"]) == (
        (1, 1) if direction == "upload" else (0, 0)
    )
    assert sum(seen[op] for op in seen if "Multipart" in op or op == "UploadPart") == told.parts
    assert seen["ListObjectsV2"] == told.list
    assert 0 < seen["HeadObject"] <= told.head
    assert seen["GetObject"] == told.get


def test_the_rate_is_that_of_the_last_run_that_was_large_enough(tmp_path):
    layout = Layout(tmp_path)
    assert estimate.last_rate(layout) is None
    times = {"time": "2026-01-01T00:00:00+00:00", "code": 0}
    for kind, seconds, moved in (
        ("run", 50, 1 << 30), ("run", 20, 1 << 30), ("plan", 30, 0), ("run", 5, 1 << 30),
        ("run", 60, 1000),
    ):  # fmt: skip
        history.append(
            layout, history.Ended(kind=kind, seconds=seconds, moved_bytes=moved, **times)
        )
    assert estimate.last_rate(layout) == (1 << 30) / 20


def test_time_and_cost(tmp_path):
    plan = planning.Plan(datasets={"d"})
    plan.moves = [planning.Move("d", "a", 7_200_000_000, "", planning.NEW)]
    layout = Layout(tmp_path)
    prices = Prices(currency="XTS", put=10, get=1, out=0.5, month=2)
    down = transfer_of(tmp_path, down=True)
    assert list(estimate.lines(plan, down, layout, Budget(1_000_000, prices))) == [
        "time: about 2 h 00 min at 976.6 KiB/s",
        "requests: about 430 GET, 1 LIST, 1 HEAD",
        "cost: about 4.04 XTS",  # 0.01 for LIST, 0.43 for GET and HEAD, 3.60 for 7.2 GB
    ]
    up = list(estimate.lines(plan, transfer_of(tmp_path), layout, Budget(None, prices)))
    assert up[0] == "requests: about 432 for parts, 1 LIST"
    assert up[-1] == "cost: about 4.33 XTS, and 14.40 a month to store what is moved"
    assert list(estimate.lines(planning.Plan(), down, layout, Budget())) == []
