"""The order of the files of a run, and the shape of the runs that tests are made with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.illumina import MODELS, S1_BYTES, S1_FILES, make_all, make_run, model
from waybill.model.selection import Selection, check_pattern
from waybill.presets.illumina import files, instrument, sample_sheet

FIRST, LAST = Selection(files.FIRST), Selection(files.LAST)


def paths(run: Path) -> list[str]:
    return sorted(
        os.path.relpath(Path(parent, name), run)
        for parent, _, names in os.walk(run)
        for name in names
    )


@pytest.mark.parametrize("look", MODELS)
def test_what_goes_first_and_last(tmp_path, look):
    run = make_run(tmp_path, look, "two sheets")
    found = paths(run)
    first = {path for path in found if FIRST.matches(path)}
    last = {path for path in found if LAST.matches(path)}
    told = {"RunInfo.xml", model(look).parameters, *(p.name for p in sample_sheet.find(run))}
    assert first == told
    complete = {path for path in found if "omplete" in path or path == "RunCompletionStatus.xml"}
    assert complete <= last
    assert last - complete <= {"QueuedForAnalysis.txt", "Analysis/1/Manifest.tsv"}
    assert any(LAST.matches(name) for name in instrument.identify(run).complete)


def test_base_calls_and_logs_are_neither(tmp_path):
    for run in make_all(tmp_path).values():
        for path in paths(run):
            if path.startswith(("Data/", "InterOp/", "Logs/", "Thumbnail_Images/", "Config/")):
                assert not FIRST.matches(path), path
                assert not LAST.matches(path), path


def test_the_run_is_complete_at_the_very_end():
    assert files.LAST[-1] == "/CopyComplete.txt"
    assert not LAST.matches("Data/CopyComplete.txt")
    assert LAST.matches("Analysis/2/Data/Secondary_Analysis_Complete.txt")


@given(
    before=st.text("aS_.-[]", max_size=4),
    between=st.sampled_from(["", "-", "_", " ", "x", "--"]),
    after=st.text("aV2_.-csv", max_size=6),
    upper=st.booleans(),
)
def test_a_pattern_knows_sheets_as_their_reader_does(before, between, after, upper):
    name = f"{before}Sample{between}Sheet{after}.csv"
    name = name.upper() if upper else name
    if not name.startswith("."):
        assert FIRST.matches(name) == sample_sheet.is_name(name)
    assert not FIRST.matches(f"Analysis/{name}")


def test_files_of_the_configuration_go_after_all_others():
    names = ["Done [1].txt", "logs/really*done?.txt", "CopyComplete.txt"]
    last = files.last(names)
    assert last[: len(files.LAST)] == files.LAST
    assert len(last) == len(files.LAST) + 2
    for pattern in last:
        check_pattern(pattern)
    chosen = Selection(last[len(files.LAST) :])
    assert chosen.matches("Done [1].txt")
    assert chosen.matches("logs/really*done?.txt")
    assert not chosen.matches("Done 1.txt")
    assert not chosen.matches("logs/really_done_.txt")
    assert not chosen.matches("other/Done [1].txt")
    assert files.last() == files.LAST


def test_a_full_run_has_its_shape_and_costs_no_disk(tmp_path):
    run = make_run(tmp_path, full=True)
    found = [(run / path).stat() for path in paths(run)]
    assert len(found) == S1_FILES
    assert sum(status.st_size for status in found) == S1_BYTES
    assert sum(status.st_blocks for status in found) * 512 < 64 << 20


def test_small_runs_are_small_and_no_two_files_alike(tmp_path):
    for (look, state), run in make_all(tmp_path).items():
        found = paths(run)
        assert 15 <= len(found) <= 60, (look, state)
        data = [(run / path).read_bytes() for path in found]
        filled = [content for content in data if content]
        assert len(set(filled)) == len(filled), (look, state)
        assert sum(map(len, data)) < 200_000, (look, state)


def test_the_size_of_a_run_can_be_chosen(tmp_path):
    run = make_run(tmp_path, size=1_000_003)
    calls = [run / path for path in paths(run) if path.endswith(".cbcl")]
    assert sum(path.stat().st_size for path in calls) == 1_000_003
