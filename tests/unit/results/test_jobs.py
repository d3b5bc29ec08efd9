"""What jobs tell of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.results import jobs
from waybill.results.jobs import MOST_SAMPLES, Job, Samples
from waybill.results.layout import Layout


def test_a_job_at_work_is_read_with_its_large_files(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    job = Job("upload", "d", "b.x", begun=5, time=6, moved=7, moves=[7])
    job.large = [("ü\udcff", 1, 2)]
    jobs.write_progress(layout, job)
    (layout.progress / ".upload.tmp").write_bytes(b"{")
    (layout.progress / "torn.json").write_bytes(b'{"stage"')
    (found,) = jobs.in_progress(layout)
    assert [tuple(one) for one in found.large] == [("ü\udcff", 1, 2)]
    assert (found.name, found.moved, found.code, found.moves) == (
        "upload.d@b.x.json", 7, None, [],
    )  # fmt: skip
    jobs.drop_progress(layout, found.name)
    jobs.drop_progress(layout, found.name)
    assert not (layout.progress / found.name).exists()


@pytest.mark.parametrize(
    ("dataset", "batch", "where"),
    [
        ("", "", "logs/jobs.jsonl"),
        ("d.1", "", "logs/jobs/d.1.jsonl"),
        ("d.1", "b.x", "logs/jobs/d.1/b.x.jsonl"),
    ],
)
def test_each_attempt_leaves_a_line(tmp_path: Path, dataset: str, batch: str, where: str) -> None:
    layout = Layout(tmp_path)
    for code in (1, 0):
        jobs.append(layout, Job("upload", dataset, batch, code=code, moves=[3, 4], every=2))
    with (tmp_path / where).open("ab") as file:
        file.write(b'[]\n{"stage":3}\n{"sta')
    found = list(jobs.ended(layout))
    assert [job.code for job in found] == [1, 0]
    assert found[1] == Job("upload", dataset, batch, code=0, moves=[3, 4], every=2)


def test_nothing_is_told_before_the_first_job(tmp_path: Path) -> None:
    assert list(jobs.ended(Layout(tmp_path))) == list(jobs.in_progress(Layout(tmp_path))) == []


def test_samples_stay_few_and_lose_no_byte() -> None:
    samples = Samples()
    for second in range(10_000):
        samples.add(second + 0.5, 3, second % 2)
    assert samples.every == 256
    assert len(samples.moves) <= MOST_SAMPLES
    assert set(samples.moves[:-1]) == {3 * 256}
    assert (sum(samples.moves), sum(samples.hashes)) == (30_000, 5_000)


def test_a_pause_has_intervals_without_bytes() -> None:
    samples = Samples()
    samples.add(0.2, 5, 0)
    samples.add(3.9, 6, 1)
    assert (samples.moves, samples.hashes) == ([5, 0, 0, 6], [0, 0, 0, 1])
