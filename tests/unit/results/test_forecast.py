"""The estimate is right on a steady link: a run on a clock of the test's own, over a link that is
made up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.model.failure import Failure
from waybill.results import failures, jobs, run_progress, state
from waybill.results.batch_tables import LOCAL_COLUMNS
from waybill.results.forecast import CLOSING, LOOKING, STARTING, Amount, Forecast, Progress, of_job
from waybill.results.jobs import Job
from waybill.results.layout import Layout
from waybill.results.run_progress import RunProgress
from waybill.stages.reporter import Reporter
from waybill.stages.task import Task
from waybill.system.files import write_atomic
from waybill.system.meter import Meter
from waybill.system.tsv import render

MB = 1_000_000


class Run:
    """A run that uploads batches of files, two jobs at a time, over one link."""

    def __init__(self, folder: Path, batches: dict[str, list[int]], rate: int) -> None:
        self.layout = Layout(folder / "results" / "t")
        self.transfer = transfer_of(folder)
        self.now = 1_000.0
        self.rate = rate
        self.batches = batches
        self.progress = RunProgress(kind="run", begun=self.now)
        for name, sizes in batches.items():
            lines = (f"f{n}\t{size}\t0\t{n}" for n, size in enumerate(sizes))
            write_atomic(self.layout.local("d", name), render(LOCAL_COLUMNS, lines))
        seen = state.State(run="now", open=[f"d/{name}" for name in batches])
        state.write(self.layout, seen)
        run_progress.write(self.layout, self.progress)
        self.forecast = Forecast([self.layout], "Uploading", clock=lambda: self.now)

    def __iter__(self) -> Iterator[tuple[float, Progress]]:
        """Each second: the time since the beginning, and what a reader sees."""
        waiting = dict(self.batches)
        working: list[tuple[str, Reporter, Meter, list[int]]] = []
        begun = self.now
        while waiting or working:
            while waiting and len(working) < 2:
                name, sizes = waiting.popitem()
                meter = Meter()
                task = Task(self.transfer, self.layout, "upload", "d", name)
                reporter = Reporter(task, meter, lambda: self.now)
                meter.expect(sizes)
                left = list(sizes)
                working.append((name, reporter, meter, left))
            self.now += 1
            credit = self.rate
            for item in list(working):
                name, reporter, meter, left = item
                share = credit // len(working)
                self._send(meter, left, share)
                if left:
                    jobs.write_progress(self.layout, reporter.look())
                else:
                    reporter.end(0)
                    working.remove(item)
            run_progress.fold(self.layout, self.progress)
            yield self.now - begun, self.forecast.look()

    @staticmethod
    def _send(meter: Meter, left: list[int], credit: int) -> None:
        counts = meter.look()
        key = f"k{counts.files}"
        while left and credit:
            if not any(True for _ in meter._under_way):
                meter.begin(key, key, left[0])
            sent = meter._under_way[key].moved
            step = min(credit, left[0] - sent)
            meter.move(key, step)
            credit -= step
            if sent + step == left[0]:
                meter.end(key, arrived=True)
                left.pop(0)
                key = f"k{meter.look().files}"


@pytest.mark.parametrize("rate", [1 * MB, 6 * MB])
@pytest.mark.parametrize(
    "batches",
    [{"b.1": [200 * MB]}, {f"b.{n}": [100_000] * 200 for n in range(10)}],
    ids=["one large file", "2,000 small files"],
)
def test_the_estimate_is_right_after_30_seconds(
    tmp_path: Path, batches: dict[str, list[int]], rate: int
) -> None:
    run = Run(tmp_path, batches, rate)
    seen = list(run)
    end = seen[-1][0]
    looked = 0
    for time, progress in seen:
        assert progress.moves.total == 200 * MB
        assert progress.files_total == sum(map(len, batches.values()))
        left = progress.moves.seconds_left
        if time >= 30 and end - time >= 2:
            looked += 1
            assert left is not None
            # The clock goes in seconds, so the end is known to a second.
            assert abs(left - (end - time)) <= max(1, 0.25 * (end - time)), (time, end)
    assert looked >= 1
    assert seen[-1][1].moves.done == 200 * MB
    assert str(seen[-1][1]).endswith(CLOSING)


def small(folder: Path) -> Layout:
    """A transfer of which a run has begun, with two open batches of 100 bytes."""
    layout = Layout(folder)
    for name in ("b.1", "b.2"):
        write_atomic(layout.local("d", name), render(LOCAL_COLUMNS, ["f\t100\t0\t1"]))
    state.write(layout, state.State(run="now", open=["d/b.1", "d/b.2"]))
    run_progress.write(layout, RunProgress(kind="run", begun=50))
    return layout


def test_what_it_says_from_the_beginning_to_the_end(tmp_path: Path) -> None:
    layout, now = small(tmp_path), 0.0
    forecast = Forecast([layout], "Uploading", clock=lambda: now, since=50)
    layout.begun.touch()
    assert str(forecast.look()) == LOOKING
    layout.begun.unlink()
    assert str(forecast.look()) == "Uploading: 0 of 2 file(s), 0 B of 200 B (0 %)"
    job = Job("upload", "d", "b.1", begun=50, time=51, files_total=1, bytes_total=100, moved=40)
    now = 10.0
    jobs.write_progress(layout, job)
    text = "Uploading: 0 of 2 file(s), 40 B of 200 B (20 %), 4 B/s, 40 s left"
    assert str(forecast.look()) == text
    job.files, job.moved, job.code = 1, 100, 0
    jobs.write_progress(layout, job)
    failures.write(layout.failures / "upload.d@b.2.tsv", [Failure("f", 1, "gone")])
    now = 20.0
    assert str(forecast.look()) == (
        "Uploading: 1 of 2 file(s), 100 B of 200 B (50 %), 5 B/s, 20 s left; 1 failed"
    )


def test_a_run_of_before_is_not_this_one(tmp_path: Path) -> None:
    forecast = Forecast([small(tmp_path)], since=60)
    assert (str(forecast.look()), forecast.look().files_total) == (STARTING, 0)


def test_nothing_moves_and_nothing_is_estimated(tmp_path: Path) -> None:
    layout, now = small(tmp_path), 0.0
    forecast = Forecast([layout], clock=lambda: now)
    for moved in (0, 0, 40, 40):
        job = Job("upload", "d", "b.1", time=now, files_total=1, bytes_total=100, moved=moved)
        jobs.write_progress(layout, job)
        progress = forecast.look()
        now += 5
    assert progress.moves == Amount(40, 200, 4.0)
    for _ in range(10):
        now += 5
        progress = forecast.look()
    assert (progress.moves.rate, progress.moves.seconds_left) == (None, None)


def test_a_job_that_is_lost_counts_no_more(tmp_path: Path) -> None:
    layout, now = small(tmp_path), 0.0
    forecast = Forecast([layout], clock=lambda: now)
    job = Job("upload", "d", "b.1", time=1, files_total=1, bytes_total=100, moved=40)
    jobs.write_progress(layout, job)
    assert len(forecast.look().jobs) == 1
    now = 300.0
    assert forecast.look().jobs == []


def test_hashing_is_told_by_bytes(tmp_path: Path) -> None:
    layout, now = small(tmp_path), 0.0
    run_progress.write(layout, RunProgress(kind="plan", begun=50))
    forecast = Forecast([layout], clock=lambda: now)
    forecast.look()
    job = Job("checksum", "d", "b.1", time=1, hashed=50, hash_total=100)
    jobs.write_progress(layout, job)
    now = 10.0
    assert str(forecast.look()) == "Hashing: 50 B of 200 B (25 %), 5 B/s, 30 s left"


def test_a_verification_counts_both_sides(tmp_path: Path) -> None:
    layout, now = Layout(tmp_path), 0.0
    run_progress.write(layout, RunProgress(kind="verify", begun=50))
    known = (0, 0)
    forecast = Forecast([layout], "Verifying", clock=lambda: now, expected=lambda _: known)
    assert str(forecast.look()) == LOOKING
    known = (4, 100)
    assert str(forecast.look()) == "Verifying: 0 of 4 file(s)"
    job = Job("verify_batch", "d", "b.1", time=1, files=1, moved=30, hashed=20, bytes_total=100)
    now = 10.0
    jobs.write_progress(layout, job)
    assert str(forecast.look()) == (
        "Verifying: 1 of 4 file(s), 50 B of 200 B (25 %), 5 B/s, 30 s left"
    )


def test_batches_that_were_moved_unseen_are_not_counted_twice(tmp_path: Path) -> None:
    layout, now = small(tmp_path), 0.0
    forecast = Forecast([layout], clock=lambda: now)
    forecast.look()
    run = RunProgress(kind="run", begun=50)
    done = Job("upload", "d", "b.1", code=0, files=1, files_total=1, moved=100, bytes_total=100)
    jobs.write_progress(layout, done)
    run_progress.fold(layout, run)
    assert forecast.look().moves.total == 200
    later = Forecast([layout], clock=lambda: now)  # a reader that comes now
    write_atomic(layout.marker("d", "b.1"), b"")
    assert later.look().moves.total == 200


def test_one_job_by_itself() -> None:
    job = Job("upload", files=1, files_total=2, moved=50, bytes_total=100, rate=5)
    assert of_job(job, "Uploading") == [
        "Uploading: 1 of 2 file(s), 50 B of 100 B (50 %), 5 B/s, 10 s left"
    ]
    assert of_job(Job("inventory"), "Uploading") == []
