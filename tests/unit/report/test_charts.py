"""The charts of the page: their marks have the values that they are drawn from."""

from __future__ import annotations

import re

from waybill.report import charts
from waybill.results.jobs import Job

START = 1_767_323_045.0


def labels(svg: str) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"', svg)


def job(number: int, host: str = "", **more: object) -> Job:
    found = Job("upload", "t", f"b{number}", host, begun=START + number, time=START + number + 10)
    found.code, found.moved, found.every, found.moves = 0, 10 << 20, 10.0, [10 << 20]
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_sizes_have_a_bar_for_each_class() -> None:
    chart = charts.sizes({-1: (2, 0), 5: (30, 60 << 10), 7: (4, 128 << 10)})
    assert chart is not None
    for svg in (chart.wide, chart.narrow):
        told = labels(svg)
        assert "size of a file, from: 1 KiB; files: 30" in told
        assert "size of a file, from: 16 KiB; files: 4" in told
        assert "size of a file, from: 4 KiB; files: 0" in told
        assert "size of a file, from: 16 KiB; KiB: 128" in told
    assert chart.told == "36 files, 188.0 KiB, by the size of a file"


def test_throughput_adds_the_jobs_up() -> None:
    chart = charts.throughput([job(0), job(5)])
    assert chart is not None
    assert chart.told == (
        "20.0 MiB by 2 jobs in 15 seconds, 1.3 MiB/s on average, 2.0 MiB/s at most"
    )
    assert "MiB/s" in chart.wide
    assert 'fill="var(--c-blue)"' in chart.wide  # follows the theme


def test_throughput_follows_the_samples() -> None:
    """All bytes arrive in the last of ten seconds."""
    late = job(0, every=1.0, moves=[0] * 9 + [10 << 20])
    chart = charts.throughput([late])
    assert chart is not None
    assert "10.0 MiB/s at most" in chart.told


def test_nothing_is_drawn_of_nothing() -> None:
    assert charts.sizes({}) is None
    assert charts.throughput([job(0, moved=0)]) is None
    assert charts.timeline([]) is None


def test_the_timeline_has_a_lane_for_each_job_that_runs_at_one_time() -> None:
    jobs = [job(0, "node1"), job(1, "node1"), job(11, "node1"), job(0, "node2")]
    chart = charts.timeline(jobs)
    assert chart is not None
    assert chart.told == "4 jobs on 2 nodes in 21 seconds"
    for lane in ("node1 1", "node1 2", "node2 1"):
        assert f">{lane}<" in chart.wide
    assert ">node1 3<" not in chart.wide
    assert sorted(label for label in labels(chart.wide) if label.startswith("upload")) == [
        "upload t b0", "upload t b0", "upload t b1", "upload t b11",
    ]  # fmt: skip


def test_jobs_that_failed_or_have_not_ended_are_told_apart() -> None:
    chart = charts.timeline([job(0), job(3, code=None), job(5, code=1)])
    assert chart is not None
    assert ">not ended<" in chart.wide
    assert ">failed<" in chart.wide
