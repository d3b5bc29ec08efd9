"""Runs that wait: those that keep failing, and those that are too old."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from support.illumina import make_run
from waybill.presets.illumina import run_state, waiting

NOW = datetime(2024, 10, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def state_file(tmp_path):
    return run_state.find(tmp_path / "uploads", tmp_path / "run_1").file


def test_how_long_a_run_rests():
    hours = [waiting.pause(failures) / HOUR for failures in range(10)]
    assert hours == [0, 0, 1, 2, 4, 8, 16, 24, 24, 24]
    assert waiting.pause(1_000_000) == timedelta(days=1)


def test_a_run_that_fails_once_is_tried_at_the_next_pass(state_file):
    retry = waiting.failed(state_file, "RunInfo.xml: access denied", NOW)
    assert waiting.rests(retry, NOW) is None
    assert waiting.rests(waiting.read(state_file), NOW) is None


def test_a_run_that_keeps_failing_backs_off(state_file):
    passes = [NOW + number * HOUR + timedelta(seconds=number % 3) for number in range(100)]
    tried = []
    for number, now in enumerate(passes):
        if waiting.rests(waiting.read(state_file), now) is None:
            tried.append(number)
            waiting.failed(state_file, "no way", now)
    assert tried == [0, 1, 2, 4, 8, 16, 32, 56, 80], "at most a day apart"
    retry = waiting.read(state_file)
    assert (retry.failures, retry.first, retry.reason) == (9, "2024-10-25T12:00:00.000Z", "no way")


def test_why_a_run_rests(state_file):
    waiting.failed(state_file, "a", NOW)
    retry = waiting.failed(state_file, "x.cbcl: access denied", NOW)
    assert waiting.rests(retry, NOW + timedelta(minutes=30)) == (
        "failed 2 times, tried again after 2024-10-25T13:00:00.000Z: x.cbcl: access denied"
    )


def test_success_is_a_new_start(state_file):
    for _ in range(4):
        waiting.failed(state_file, "no way", NOW)
    waiting.succeeded(state_file)
    assert waiting.read(state_file) is None
    assert waiting.failed(state_file, "again", NOW).failures == 1
    waiting.succeeded(state_file)
    waiting.succeeded(state_file)


def test_failures_are_kept_beside_the_state_and_not_in_it(state_file, tmp_path):
    run_state.write(state_file, run_state.recorded(tmp_path / "run_1", ["a"], {}, ["a"]))
    waiting.failed(state_file, "no way", NOW)
    assert sorted(path.name for path in state_file.parent.iterdir()) == [
        "run_1.retry.json",
        "run_1.upload.log.json",
    ]
    assert len(json.loads(state_file.read_text())) == 8
    (tmp_path / "seqB" / "run_1").mkdir(parents=True)
    other = run_state.find(state_file.parent, tmp_path / "seqB" / "run_1").file
    assert waiting.read(other) is None, "runs of one name fail on their own"


def test_a_clock_that_went_back_makes_nothing_wait(state_file):
    for _ in range(5):
        retry = waiting.failed(state_file, "no way", NOW)
    assert waiting.rests(retry, NOW - timedelta(days=300)) is None
    assert waiting.rests(retry, NOW + HOUR) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"{}", b"7", b"\xff",
        b'{"failures": 3, "first": "2024-10-25", "last": "2024-10-25", "reason": "no zone"}',
        b'{"failures": 3, "first": "soon", "last": "later", "reason": ""}',
        b'{"failures": "3", "first": "2024-10-25T12:00:00Z", "last": "2024-10-25T12:00:00Z",'
        b' "reason": ""}',
        b'{"failures": 0, "first": "2024-10-25T12:00:00Z", "last": "2024-10-25T12:00:00Z",'
        b' "reason": ""}',
        b'{"failures": 3, "first": 1, "last": 2, "reason": ""}',
    ],
)  # fmt: skip
def test_failures_that_cannot_be_told_make_nothing_wait(state_file, data):
    file = waiting.retry_file(state_file)
    file.parent.mkdir()
    file.write_bytes(data)
    assert waiting.read(state_file) is None
    assert waiting.failed(state_file, "no way", NOW).failures == 1


def aged(run, hours: float) -> None:
    then = NOW.timestamp() - hours * 3600
    os.utime(run / "RunInfo.xml", (then, then))


def test_a_run_that_is_too_old_is_reported(tmp_path):
    run = make_run(tmp_path)
    aged(run, 71)
    assert waiting.too_old(run, None, 72, NOW) is None
    aged(run, 80)
    assert waiting.too_old(run, None, 72, NOW) == (
        f"finished 80 hours ago, more than max_age (72): not uploaded;"
        f" touch {run}/RunInfo.xml to have it uploaded"
    )
    assert waiting.too_old(run, None, 0, NOW) is None, "0 is no limit"


def test_a_long_run_is_not_too_old_when_it_ends(tmp_path):
    """The seed's bug 12: RunInfo.xml is written when a run starts."""
    run = make_run(tmp_path)
    aged(run, 100)
    ended = NOW.timestamp() - 30 * 3600
    assert waiting.too_old(run, ended, 72, NOW) is None
    assert waiting.too_old(run, ended - 50 * 3600, 72, NOW).startswith("finished 80 hours ago")
    aged(run, 1)
    assert waiting.too_old(run, ended - 50 * 3600, 72, NOW) is None, "touched"
