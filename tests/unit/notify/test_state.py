"""When something is told again, and when not; the clock is the test's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from waybill.notify import state
from waybill.notify.report import Dataset, Failed, Report
from waybill.notify.state import FAILURE, RECOVERY, SUCCESS, State, Told

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOTH = (SUCCESS, FAILURE)


def failed(path="a", message="access denied", dataset="t"):
    return Failed("upload", dataset, path, message)


def report(*failures, moved=0, complete=True, exit_code=None, preset="generic"):
    return Report(
        transfer="t",
        preset=preset,
        direction="upload",
        source="/data",
        destination="s3://bucket/p/",
        results="/results/t",
        files=10,
        bytes=100,
        exit_code=exit_code if exit_code is not None else int(bool(failures)),
        datasets=(Dataset("t", moved, moved * 10, complete and not failures),),
        failures=tuple(failures),
    )


class Channels:
    """Some channels of one transfer over a time; ``away`` are those that take nothing."""

    def __init__(self, on=BOTH, names=("slack",)):
        self.on, self.names, self.away = on, names, set()
        self.known, self.now = State(), NOW

    def run(self, its_report, **later):
        """What each channel is told of a run, ``later`` than the last one."""
        self.now += timedelta(**later)
        told = {n: state.events(its_report, self.known, self.on, n, self.now) for n in self.names}
        arrived = {name: () if name in self.away else which for name, which in told.items()}
        self.known = state.advanced(self.known, its_report, arrived, self.now)
        return told if len(told) > 1 else told[self.names[0]]


def test_success_only_when_something_moved_and_all_is_proven():
    one = Channels()
    assert one.run(report()) == ()
    assert one.run(report(moved=3)) == (SUCCESS,)
    assert one.run(report(moved=3), hours=1) == (SUCCESS,)
    assert one.run(report(moved=3, complete=False)) == ()
    assert one.known == State()


def test_a_failure_is_told_once_then_daily():
    one = Channels()
    told = [one.run(report(failed()), hours=1) for _ in range(72)]
    assert [hour for hour, which in enumerate(told) if which] == [0, 24, 48]
    assert one.known.failing_since == "2026-11-21T13:00:00.000Z"


def test_a_daily_run_tells_every_day_though_it_does_not_end_on_the_minute():
    one = Channels()
    ends = [0, 20, -5, 5, -20]  # minutes off, on each day
    late = [0, *(24 * 60 + after - before for before, after in pairwise(ends))]
    assert [one.run(report(failed()), minutes=m) for m in late] == [(FAILURE,)] * 5


def test_a_changed_failure_is_told_at_once():
    one = Channels()
    both = (failed("a"), failed("b"))
    for failures in (both[:1], both, both[1:], (failed("b", "gone"),), (failed("", "no bucket"),)):
        assert one.run(report(*failures), minutes=1) == (FAILURE,)
        assert one.run(report(*reversed(failures)), minutes=1) == ()
    assert one.run(report(failed("a", dataset="other")), minutes=1) == (FAILURE,)


def test_numbers_in_a_message_are_no_change():
    one = Channels()
    assert one.run(report(failed(message="2 of 7 parts, id 4af"))) == (FAILURE,)
    assert one.run(report(failed(message="13 of 7 parts, id 9af"))) == ()
    assert one.run(report(failed("a1"))) == (FAILURE,)
    assert one.run(report(failed("a2"))) == (FAILURE,)


def test_recovery_is_told_once():
    one = Channels()
    one.run(report(failed()))
    assert one.run(report(), hours=1) == (RECOVERY,)
    assert one.known == State()
    assert one.run(report(), hours=1) == ()
    assert one.run(report(failed()), hours=1) == (FAILURE,)
    assert one.run(report(moved=1), hours=1) == (RECOVERY, SUCCESS)


def test_an_empty_selection_is_no_recovery():
    one = Channels()
    one.run(report(failed()))
    assert one.run(report(exit_code=3), hours=1) == ()
    assert one.run(report(failed()), hours=1) == ()
    assert one.run(report(), hours=1) == (RECOVERY,)


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ((), [(), (), ()]),
        ((SUCCESS,), [(), (), (SUCCESS,)]),
        ((FAILURE,), [(FAILURE,), (), (RECOVERY,)]),
        (BOTH, [(FAILURE,), (), (RECOVERY, SUCCESS)]),
    ],
)
def test_on(on, expected):
    one = Channels(on)
    runs = [report(failed()), report(failed()), report(moved=1)]
    assert [one.run(its_report, hours=1) for its_report in runs] == expected


def test_what_did_not_arrive_is_told_again_there_and_nowhere_else():
    two = Channels(names=("slack", "email"))
    two.away = {"slack"}
    assert two.run(report(failed())) == {"slack": (FAILURE,), "email": (FAILURE,)}
    assert two.run(report(failed()), hours=1) == {"slack": (FAILURE,), "email": ()}
    two.away = set()
    assert two.run(report(failed()), hours=1) == {"slack": (FAILURE,), "email": ()}
    assert two.run(report(failed()), hours=1) == {"slack": (), "email": ()}
    two.away = {"email"}
    assert two.run(report(), hours=1) == {"slack": (RECOVERY,), "email": (RECOVERY,)}
    two.away = set()
    assert two.run(report(), hours=1) == {"slack": (), "email": (RECOVERY,)}
    assert two.known == State()


def test_who_heard_of_no_failure_hears_of_no_recovery():
    two = Channels(names=("slack", "email"))
    two.away = {"slack"}
    two.run(report(failed()))
    assert two.run(report(), hours=1) == {"slack": (), "email": (RECOVERY,)}


def test_a_channel_that_is_no_more_is_forgotten():
    one = Channels(names=("email",))
    one.run(report(failed()))
    one.names = ("slack",)
    assert one.run(report()) == ()
    assert one.known == State()


def test_a_time_in_the_future_is_not_waited_for():
    one = Channels()
    one.run(report(failed()))
    assert one.run(report(failed()), days=-400) == (FAILURE,)


def test_runs_that_finish_beside_one_that_fails_are_told():
    its_report = Report(
        "t", "illumina", "upload", "/seq", "s3://b/", "/r", exit_code=1,
        datasets=(Dataset("run_1", 2, 9, True), Dataset("run_2", 0, 0, False)),
        failures=(failed(dataset="run_2"),),
    )  # fmt: skip
    one = Channels()
    assert one.run(its_report) == (FAILURE, SUCCESS)
    assert one.run(its_report, hours=1) == (SUCCESS,)
    assert [dataset.name for dataset in its_report.finished] == ["run_1"]


def test_written_and_read(tmp_path):
    assert state.read(tmp_path) == State()
    kept = State("2026-11-20T10:00:00.000Z", {"slack": Told("abc", "2026-11-21T10:00:00.000Z")})
    state.write(tmp_path, kept)
    assert state.read(tmp_path) == kept
    assert json.loads((tmp_path / "notify.json").read_text()) == {
        "failing_since": "2026-11-20T10:00:00.000Z",
        "told": {"slack": {"failures": "abc", "time": "2026-11-21T10:00:00.000Z"}},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["notify.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"failing_since": null, "told": []}',
        '{"failing_since": 3, "told": {}}',
        '{"failing_since": "x", "told": {}}',
        '{"failing_since": null, "told": {"slack": "x"}}',
        '{"failing_since": null, "told": {"slack": {"failures": "a", "time": "2026-01-01"}}}',
        '{"failing_since": null, "told": {"slack": {"failures": "a", "time": 7}}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_state_is_noticed_and_set_aside(tmp_path, text):
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "notify.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"notify\.json: damaged$"):
        state.read(tmp_path)
    assert state.set_aside(tmp_path).read_bytes() == data
    assert state.read(tmp_path) == State()
