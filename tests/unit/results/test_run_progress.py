"""Jobs that have ended are counted once, however many of them there are."""

from __future__ import annotations

from pathlib import Path

from waybill.results import jobs, run_lines, run_progress
from waybill.results.jobs import Job
from waybill.results.layout import Layout
from waybill.results.run_progress import RunProgress

GIB = 1 << 30


def upload(batch: str, **more: int) -> Job:
    counts = {"files": 2, "files_total": 2, "moved": 90, "there": 10, "bytes_total": 100}
    return Job("upload", "d", batch, begun=10, time=20, code=0, repeats=1, **(counts | more))


def test_jobs_that_have_ended_are_counted_and_removed(tmp_path: Path) -> None:
    layout, run = Layout(tmp_path), RunProgress(kind="run", begun=5)
    for job in (upload("b.1"), Job("checksum", "d", "b.1", code=0, hashed=7, hash_total=7)):
        jobs.write_progress(layout, job)
    working = Job("upload", "d", "b.2", begun=11, time=12, moved=3)
    jobs.write_progress(layout, working)
    run_progress.fold(layout, run)
    assert (run.files, run.moved, run.there, run.hashed, run.repeats) == (2, 90, 10, 7, 1)
    assert [job.name for job in jobs.in_progress(layout)] == ["upload.d@b.2.json"]
    seen, left = run_progress.look(layout)
    assert (seen.moved, left) == (90, {working.name: working})
    run_progress.fold(layout, run)
    assert run.moved == 90


def test_a_reader_counts_a_job_once_whenever_it_looks(tmp_path: Path) -> None:
    layout, run = Layout(tmp_path), RunProgress(kind="run", begun=5)
    jobs.write_progress(layout, upload("b.1"))
    assert run_progress.look(layout)[0].moved == 90, "before the main process has counted it"
    run_progress.fold(layout, run)
    jobs.write_progress(layout, upload("b.1"))  # as if its file was still to be removed
    assert run_progress.look(layout)[0].moved == 90
    again = upload("b.1")
    again.begun, again.code = 30, None
    jobs.write_progress(layout, again)  # another attempt
    assert list(run_progress.look(layout)[1]) == [again.name]


def test_what_a_failed_job_leaves_is_left_until_another_has_done_it(tmp_path: Path) -> None:
    layout, run = Layout(tmp_path), RunProgress(kind="run", begun=5)
    jobs.write_progress(layout, upload("b.1", files=1, moved=40, there=0))
    run_progress.fold(layout, run)
    assert run.undone == {"d/b.1": [1, 60]}
    jobs.write_progress(
        layout, upload("b.1", files=1, files_total=1, moved=60, bytes_total=60, there=0)
    )
    run_progress.fold(layout, run)
    assert (run.undone, run.moved, run.files) == ({}, 100, 2)


def test_a_killed_job_leaves_its_line(tmp_path: Path) -> None:
    layout, run = Layout(tmp_path), RunProgress(kind="run", begun=5)
    killed = upload("b.1", files=0, moved=30, there=0)
    killed.code = None
    jobs.write_progress(layout, killed)
    run_progress.fold(layout, run)
    assert (run.moved, list(jobs.ended(layout))) == (0, [])
    run_progress.fold(layout, run, all_jobs=True)
    (line,) = jobs.ended(layout)
    assert (run.moved, line.code, line.moved) == (30, None, 30)
    assert list(jobs.in_progress(layout)) == []


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for text in ("", "{", "[]", '{"kind":1,"later":2}'):
        layout.run_progress.write_text(text)
        assert run_progress.read(layout).moved == 0


def test_the_line_of_a_run(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert run_lines.lines(layout) == []
    run = RunProgress(
        kind="run", begun=100, time=224, files=7, moved=3 * GIB, there=GIB, hashed=2 * GIB,
        repeats=5, first_move=110, last_move=213,
    )  # fmt: skip
    run_progress.write(layout, run)
    assert run_lines.lines(layout) == [], "it has not ended"
    for nothing in (RunProgress("plan", 1, 9, True, moved=5), RunProgress("run", 1, 9, True)):
        run_progress.write(layout, nothing)
        assert run_lines.lines(layout) == []
    run.ended = True
    run_progress.write(layout, run)
    manifest = layout.manifest("gut")
    manifest.parent.mkdir()
    manifest.touch()
    assert run_lines.lines(layout) == [
        "took 2 min 04 s; 7 files moved, 3.0 GiB at 29.8 MiB/s; 1.0 GiB of them were there already;"
        f" 2.0 GiB hashed; 5 requests sent again; manifest: {manifest}"
    ]
    layout.manifest("heart").touch()
    assert run_lines.lines(layout)[0].endswith(f"; manifest: {manifest.parent}")
    run_progress.write(
        layout,
        RunProgress("verify", 1, 3, ended=True, moved=GIB, hashed=GIB, first_move=1, last_move=3),
    )
    assert run_lines.lines(layout) == ["took 2 s; 2.0 GiB read on both sides at 1.0 GiB/s"]
