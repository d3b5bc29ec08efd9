"""The benchmark makes what it says, notices what is not whole, and counts right."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

import joblogs
import latency
import meter
import raw
import table
import workloads
from targets import Figures, targets

from waybill.presets.ifcb import bins

ROW = raw.Row(
    time="2026-01-01T00:00:00+00:00",
    round=1,
    workload="W1",
    tool="s5cmd",
    cell="upload",
    latency_ms=0.0,
    scale=1.0,
    files=5000,
    bytes=5000 * 8192,
    command="s5cmd cp DATA/ s3://bench/data/",
    version="s5cmd 2.3.0",
    machine="2 cores",
    wall=10.0,
    cpu=3.0,
    peak=1 << 26,
    largest=1 << 26,
    server_cpu=4.0,
    relay_cpu=0.0,
    calibration=0.1,
    load=0.5,
)


def test_workloads_have_the_shape_they_say():
    shapes = {name: workloads.sizes(name) for name in workloads.WORDS}
    assert {name: len(sizes) for name, sizes in shapes.items()} == {
        "W1": 5_000,
        "W2": 4,
        "W3": 3_006,
        "W4": 100_000,
        "W4-10k": 10_000,
    }
    assert sum(shapes["W2"].values()) == 4 << 29
    stems: dict[str, set[str]] = {}
    for path in shapes["W4"]:
        stem, suffix = bins.split(path)
        stems.setdefault(stem, set()).add(suffix)
    whole = {"adc", "hdr", "roi"}
    assert sum(suffixes != whole for suffixes in stems.values()) <= 2
    assert all(suffixes in (whole, {"adc", "hdr"}) for suffixes in stems.values())


def test_a_workload_is_made_again_the_same_and_only_where_it_was_touched(tmp_path):
    first = workloads.make(tmp_path / "a", "W3", 0.01)
    second = workloads.make(tmp_path / "b", "W3", 0.01)
    assert workloads.difference(first, second.folder) == ""
    path = first.folder / min(first.sizes)
    known = path.stat().st_ino, path.read_bytes()
    assert workloads.make(tmp_path / "a", "W3", 0.01) == first
    assert path.stat().st_ino == known[0]
    path.write_bytes(bytes(len(known[1])))
    workloads.make(tmp_path / "a", "W3", 0.01)
    assert path.read_bytes() == known[1]


def test_one_changed_file_is_as_it_was_afterwards(tmp_path):
    tree = workloads.make(tmp_path, "W1", 0.01)
    copy = tmp_path / "copy"
    shutil.copytree(tree.folder, copy)
    with workloads.one_changed(tree) as path:
        assert workloads.difference(tree, copy) == f"{path} has another content"
        assert (tree.folder / path).stat().st_mtime > workloads.MTIME
    assert workloads.difference(tree, copy) == ""
    assert (tree.folder / path).stat().st_mtime == workloads.MTIME


def test_what_is_missing_foreign_or_short_is_seen(tmp_path):
    tree = workloads.make(tmp_path, "W1", 0.01)
    copy = tmp_path / "copy"
    assert workloads.difference(tree, copy) == "nothing has arrived"
    shutil.copytree(tree.folder, copy)
    (copy / "manifests").mkdir()
    foreign = copy / "manifests" / "x.json"
    foreign.touch()
    assert "1 files too many, as manifests/x.json" in workloads.difference(tree, copy)
    assert workloads.difference(tree, copy, leave_out="manifests/") == ""
    foreign.unlink()
    os.truncate(copy / min(tree.sizes), 5)
    assert "1 files have another size" in workloads.difference(tree, copy)
    (copy / min(tree.sizes)).unlink()
    assert "1 of 50 files are missing" in workloads.difference(tree, copy)


def test_the_meter_counts_children_and_ends_what_takes_too_long(tmp_path):
    log = tmp_path / "log"
    burn = "import subprocess, sys; b = bytearray(80 << 20); sum(range(10_000_000)); print('done')"
    inner = [sys.executable, "-c", burn]
    outer = f"import subprocess, sys; sys.exit(subprocess.run({inner!r}).returncode + 3)"
    cost = meter.measure([sys.executable, "-c", outer], os.environ, log)
    assert cost.code == 3
    assert log.read_text() == "done\n"
    assert cost.largest > 80 << 20
    assert cost.cpu > 0.02
    begun = time.monotonic()
    slow = "import subprocess; subprocess.run(['sleep', '60'])"
    cost = meter.measure([sys.executable, "-c", slow], os.environ, log, limit=0.5)
    assert cost.code == -9
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_latency_is_added_to_every_answer_and_side_by_side(delay):
    answer = os.urandom(3 << 20)
    requests = 20

    async def handle(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):  # the end of the connection
            while await reader.readexactly(1000):
                writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async def ask(port):
        reader, writer = await asyncio.open_connection(latency.HOST, port)
        took = []
        for _ in range(2):  # the second on a connection that is open already
            begun = time.monotonic()
            writer.write(bytes(1000))
            first = await reader.readexactly(1)
            took.append(time.monotonic() - begun)
            assert first + await reader.readexactly(len(answer) - 1) == answer
        writer.close()
        await writer.wait_closed()
        return took

    async def all_of_them():
        server = await asyncio.start_server(handle, latency.HOST, 0)
        there = server.sockets[0].getsockname()
        relay = await latency.serve(there, delay, (latency.HOST, 0))
        port = relay.sockets[0].getsockname()[1]
        alone = await ask(port)
        begun = time.monotonic()
        together = await asyncio.gather(*(ask(port) for _ in range(requests)))
        passed = time.monotonic() - begun
        relay.close()
        server.close()
        if connections := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(connections, timeout=30)
        return alone, [t for took in together for t in took], passed

    alone, together, passed = asyncio.run(all_of_them())
    assert min(alone + together) >= delay
    if delay:
        assert passed < requests * 2 * delay  # what it would take one after the other


def test_jobs_tell_their_cost_in_their_logs(tmp_path):
    for name, wall, peak in (("upload/d/b1", "1.50", 90), ("upload/d/b2", "2.00", 120)):
        path = tmp_path / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a line\nINFO: cost: {wall} s, CPU 0.10 s, peak {peak} MiB\n")
    (tmp_path / "logs" / "inventory.log").write_text("cost: 0.25 s, CPU 0.10 s, peak 60 MiB\n")
    assert joblogs.read(tmp_path) == ({"upload": 3.5, "inventory": 0.25}, 120 << 20)


def rows(*walls, **changes):
    return [dataclasses.replace(ROW, round=i, wall=w, **changes) for i, w in enumerate(walls)]


def test_medians_ratios_and_targets_are_of_what_was_whole(tmp_path):
    measured = [
        *rows(8.0, 10.0, 90.0),
        *rows(0.1, tool="waybill", problem="ended with 1: no credentials"),
        *rows(13.0, 12.0, 15.0, tool="waybill", stages={"upload": 8.0, "inventory": 5.0}),
        *rows(1.0, tool="waybill", workload="W4", job_peak=301_000_000),
    ]
    for row in measured:
        raw.append(tmp_path / "raw.jsonl", row)
    figures = Figures(raw.load(tmp_path / "raw.jsonl", 1.0))
    assert raw.load(tmp_path / "raw.jsonl", 0.5) == []
    assert figures.ratio("waybill", "W1") == 1.3
    values = {target.what: target for target in targets(figures)}
    assert values["upload W1, moving of bytes"].value == 0.8
    assert values["upload W1, whole run: over s5cmd"].value == 3.0
    assert values["upload W3, moving of bytes"].value is None
    page = table.page(measured, None)
    assert "| upload W1, moving of bytes | 0.80 x s5cmd | ≤ 0.90 x s5cmd | reached |" in page
    assert "| peak memory of any job | 301 MB | ≤ 300 MB | **not reached** |" in page
    assert "| upload W3, moving of bytes |  | ≤ 0.90 x s5cmd | not measured |" in page
    assert "| W1 | waybill | 13.0 | 12.0 to 15.0 | 1.30 |" in page
    assert "round 0, W1, waybill, first upload: ended with 1: no credentials" in page
