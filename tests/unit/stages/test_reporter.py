"""How a job tells how far it is, with a clock of the test's own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.results import jobs, run_progress
from waybill.results.layout import Layout
from waybill.results.run_progress import RunProgress
from waybill.stages import reporter as module
from waybill.stages.reporter import Reporter
from waybill.stages.task import Task
from waybill.system.meter import Meter


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(transfer_of(tmp_path, "bucket"), Layout(tmp_path / "t"), "upload", "d", "b.x")


def test_the_rate_is_that_of_the_last_seconds(task: Task) -> None:
    meter, now = Meter(), 1_000.0
    reporter = Reporter(task, meter, lambda: now)
    meter.expect([1 << 30])
    meter.begin("k", "f", 1 << 30)
    rates = []
    for second in range(100):
        now += 1
        meter.move("k", 1_000 if second < 50 else 4_000)
        rates.append(reporter.look().rate)
    assert rates[:50] == [1_000] * 50
    assert rates[-1] == 4_000
    assert 2_000 < rates[64] < 3_000


def test_bytes_that_are_taken_back_give_no_negative_rate(task: Task) -> None:
    meter, now = Meter(), 1_000.0
    reporter = Reporter(task, meter, lambda: now)
    meter.begin("k", "f", 100)
    meter.move("k", 80)
    now += 1
    assert reporter.look().rate == 80
    meter.end("k", arrived=False)
    now += 40
    assert (reporter.look().rate, reporter.look().moved) == (0, 0)


def test_the_end_leaves_a_line(task: Task) -> None:
    meter, now = Meter(), 1_000.0
    reporter = Reporter(task, meter, lambda: now)
    meter.expect([70, 30])
    meter.begin("k", "f", 70)
    meter.move("k", 50)
    meter.hash(20)
    now += 2.5
    reporter.end(1)
    reporter.end(0)  # the first end counts
    (line,) = jobs.ended(task.layout)
    assert (line.code, line.moved, line.hashed, line.moves) == (1, 50, 20, [0, 0, 50])
    assert (line.begun, line.time, line.files_total, line.bytes_total) == (1_000, 1_002.5, 2, 100)


def test_the_last_counts_stay_only_for_a_run_that_counts_them(task: Task) -> None:
    for run, left in (
        (RunProgress(), 0),  # a host workflow
        (RunProgress("run", 5, ended=True), 0),
        (RunProgress("run", 5), 1),
    ):
        run_progress.write(task.layout, run)
        meter = Meter()
        meter.expect([7])
        Reporter(task, meter).end(0)
        assert len(list(jobs.in_progress(task.layout))) == left


def test_a_job_without_bytes_leaves_only_its_line(task: Task) -> None:
    reporter = Reporter(task, Meter())
    reporter.end(0)
    assert [job.stage for job in jobs.ended(task.layout)] == ["upload"]
    assert list(jobs.in_progress(task.layout)) == []


def test_a_job_at_work_is_seen(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.02)
    meter = Meter()
    reporter = Reporter(task, meter)
    reporter.begin()
    meter.begin("k", "f", 100, large=True)
    meter.move("k", 50)
    seen = 0
    end = time.monotonic() + 30
    while seen != 50 and time.monotonic() < end:
        time.sleep(0.02)
        seen = sum(job.moved for job in jobs.in_progress(task.layout))
    assert seen == 50
    meter.end("k", arrived=True)
    reporter.end(0)
    assert list(jobs.in_progress(task.layout)) == []  # it has counted no work of its own


def test_a_folder_that_cannot_be_written_ends_nothing(task: Task) -> None:
    task.layout.root.parent.mkdir(parents=True, exist_ok=True)
    task.layout.root.write_text("a file in its place")
    reporter = Reporter(task, Meter())
    reporter.end(0)
