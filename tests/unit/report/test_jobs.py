"""The jobs of a run, from their logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from waybill.report import jobs
from waybill.results.history import Ended
from waybill.results.jobs import Job, append
from waybill.results.layout import Layout

LOG = """\
2026-03-04 05:06:07,500 INFO waybill: begun
2026-03-04 05:06:09,000 INFO waybill.move.download: a/b.bin: damaged, sha256 differs; attempt 1
2026-03-04 05:06:10,000 WARNING waybill.move: c: its mode is lost
2026-03-04 05:06:11,500 INFO waybill: cost: 6.25 s, CPU 1.00 s, peak 90 MiB
"""


def write(layout: Layout, name: str, text: str) -> None:
    path = layout.logs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_log_tells_when_its_job_ran_and_what_it_noted(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(layout, "upload/gut/b.a.00000000.log", LOG)
    found = jobs.read(layout, {("gut", "b.a.00000000"): (3, 300)}, None)
    (job,) = found.jobs
    assert (job.stage, job.dataset, job.batch) == ("upload", "gut", "b.a.00000000")
    assert (job.time - job.begun, job.files, job.moved, job.code) == (6.25, 3, 300, 0)
    assert (
        datetime.fromtimestamp(job.time, UTC).astimezone().strftime("%H:%M:%S.%f")
        == "05:06:11.500000"
    )
    assert found.notes == {"damaged, sha256 differs; attempt 1": 1, "its mode is lost": 1}


def test_a_job_without_its_last_line_has_not_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(layout, "inventory.log", "".join(LOG.splitlines(keepends=True)[:2]))
    (job,) = jobs.read(layout, {}, None).jobs
    assert (job.stage, job.dataset, job.batch) == ("inventory", "", "")
    assert (job.code, job.time - job.begun, job.moved) == (None, 1.5, 0)


def test_records_of_jobs_go_before_their_logs(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(layout, "upload/gut/b.a.00000000.log", LOG)
    first = Job("upload", "gut", "b.a.00000000", "node7", begun=100, time=130, code=1, repeats=2)
    second = replace(first, begun=140, time=150, code=0, repeats=3)
    for job in (first, second):
        append(layout, job)
    found = jobs.read(layout, {("gut", "b.a.00000000"): (3, 300)}, None)
    assert found.jobs == [first, second]
    assert (found.failed, found.repeats) == (1, 5)


def test_jobs_of_other_runs_are_left_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(layout, "upload/gut/b.a.00000000.log", LOG)
    end = datetime.strptime("2026-03-04 05:06:12", "%Y-%m-%d %H:%M:%S").astimezone(UTC)
    ran = Ended(time=end.isoformat(), seconds=8, kind="run", code=0)
    assert len(jobs.read(layout, {}, ran).jobs) == 1
    later = Ended(time=end.replace(hour=end.hour + 1).isoformat(), seconds=8, kind="run", code=0)
    assert jobs.read(layout, {}, later).jobs == []


def test_a_long_log_is_read_at_both_ends(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lines = LOG.splitlines(keepends=True)
    middle = "2026-03-04 05:06:10,000 INFO waybill: nothing of note\n" * 5_000
    write(layout, "upload/gut/b.a.00000000.log", lines[0] + middle + lines[-1])
    (job,) = jobs.read(layout, {}, None).jobs
    assert job.time - job.begun == 6.25


def test_an_empty_or_foreign_log_is_no_job(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write(layout, "upload/gut/a.log", "")
    write(layout, "upload/gut/b.log", "Traceback (most recent call last):\n\xff")
    assert jobs.read(layout, {}, None).jobs == []
