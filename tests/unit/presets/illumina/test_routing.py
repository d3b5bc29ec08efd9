"""Which way a run goes, and which runs go none, several, or into each other."""

from __future__ import annotations

import pytest

from support.illumina import make_run, sheet
from waybill.presets.illumina import routing
from waybill.presets.illumina.routing import Decision, Outcome

TAKE = Decision(Outcome.TAKE, "takes every run")
NO = Decision(Outcome.ELSEWHERE, "no")


def test_without_a_regex_no_sheet_is_needed(tmp_path):
    for state in ("no sheet", "bad sheet", "two sheets", "finished"):
        run = make_run(tmp_path / state, state=state)
        assert routing.decide(run, None) == TAKE
        assert routing.decide(run, "") == TAKE


@pytest.mark.parametrize(
    ("regex", "samples", "outcome", "reason"),
    [
        ("assay", None, Outcome.TAKE, 'all of 3 samples match "assay"'),
        ("^S00[123]_assay_1$", None, Outcome.TAKE, "all of 3 samples"),
        ("_assay_1|_assay_2", ["a_assay_1", "b_assay_2"], Outcome.TAKE, "all of 2 samples"),
        ("(?i)ASSAY", None, Outcome.TAKE, "all of 3 samples"),
        ("ASSAY", None, Outcome.ELSEWHERE, '3 of 3 samples do not match "ASSAY": S001_assay_1, '),
        ("assay_2", None, Outcome.ELSEWHERE, '3 of 3 samples do not match "assay_2": S001_assay'),
        ("S001", None, Outcome.ELSEWHERE, "2 of 3 samples do not match \"S001\": S002_assay_1, S0"),
        (
            "x", list("abcdef"), Outcome.ELSEWHERE, '6 of 6 samples do not match "x": a, b, c, ...'
        ),
    ],
)  # fmt: skip
def test_all_samples_have_to_match(tmp_path, regex, samples, outcome, reason):
    run = make_run(tmp_path, **({"samples": samples} if samples else {}))
    found = routing.decide(run, regex)
    assert found.outcome == outcome
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("lanes", [0, 4])
def test_sheets_that_the_seed_left_behind(tmp_path, version, lanes):
    """Lane first, and sections after the data: the seed took these runs for another's."""
    run = make_run(tmp_path, state="no sheet")
    (run / "SampleSheet.csv").write_text(sheet(version=version, lanes=lanes) + "\n\n,,,\n")
    assert routing.decide(run, "assay_1").outcome == Outcome.TAKE
    assert routing.decide(run, "assay_2").outcome == Outcome.ELSEWHERE


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("no sheet", "{run}: no sample sheet, which sample_regex needs"),
        ("bad sheet", "{run}/SampleSheet.csv: has no section [Data] or [BCLConvert_Data]"),
    ],
)
def test_what_cannot_be_told_is_a_problem(tmp_path, state, says):
    run = make_run(tmp_path, state=state)
    assert routing.decide(run, "assay") == Decision(Outcome.PROBLEM, says.format(run=run))


def test_sheets_that_disagree_are_a_problem(tmp_path):
    run = make_run(tmp_path)
    (run / "samplesheet_2.csv").write_text(sheet(["other"]))
    found = routing.decide(run, "assay")
    assert found.outcome == Outcome.PROBLEM
    assert "SampleSheet.csv and samplesheet_2.csv do not say the same" in found.reason


def test_two_entries_on_one_directory_route_by_regex(tmp_path):
    wanted = {"assay_1": ["a_assay_1"], "assay_2": ["b_assay_2"], "assay_3": ["c_assay_3"]}
    wanted["mixed"] = ["a_assay_1", "b_assay_2"]
    made = {name: make_run(tmp_path, name=name, samples=s) for name, s in wanted.items()}
    (made["assay_1"] / "SampleSheet.csv").chmod(0o644)
    bad = make_run(tmp_path, name="bad", state="bad sheet")
    runs = [*made.values(), bad]
    routed = routing.sort_out(
        (route, run, routing.decide(run, regex))
        for route, regex in (("one", "assay_1"), ("two", "assay_[12]"), ("none", "assay_9"))
        for run in runs
    )
    assert routed.taken == {
        made["assay_1"]: ["one", "two"],
        made["assay_2"]: ["two"],
        made["mixed"]: ["two"],
    }
    assert routed.several == {made["assay_1"]: ["one", "two"]}
    assert list(routed.nowhere) == [made["assay_3"]]
    assert routed.nowhere[made["assay_3"]] == "; ".join(
        f'1 of 1 samples do not match "{regex}": c_assay_3'
        for regex in ("assay_1", "assay_[12]", "assay_9")
    )
    assert list(routed.problems) == [bad]


def test_a_route_without_regex_takes_what_others_cannot_tell(tmp_path):
    run = make_run(tmp_path, state="bad sheet")
    routed = routing.sort_out(
        (route, run, routing.decide(run, regex)) for route, regex in (("a", "assay"), ("b", None))
    )
    assert routed.taken == {run: ["b"]}
    assert list(routed.problems) == [run]
    assert routed.nowhere == {}


def test_a_run_with_a_problem_is_not_said_to_go_nowhere(tmp_path):
    problem = Decision(Outcome.PROBLEM, "half-written")
    routed = routing.sort_out([("a", tmp_path, NO), ("b", tmp_path, problem)])
    assert routed.nowhere == {}
    assert routed.problems == {tmp_path: "half-written"}


def test_one_run_on_two_ways_is_one(tmp_path):
    run = make_run(tmp_path / "seq")
    (tmp_path / "link").symlink_to(tmp_path / "seq")
    linked = tmp_path / "link" / run.name
    routed = routing.sort_out([("a", run, TAKE), ("b", linked, TAKE)])
    assert routed.several == {run: ["a", "b"]}
    assert routing.sort_out([("a", run, NO), ("b", linked, TAKE)]).nowhere == {}


def test_nothing_is_routed():
    routed = routing.sort_out([])
    assert (routed.taken, routed.several, routed.nowhere, routed.problems) == ({}, {}, {}, {})
