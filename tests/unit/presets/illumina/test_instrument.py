"""Which instrument made a run, and when the run is finished."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from support.illumina import (
    MODELS,
    STATES,
    grow_old,
    make_all,
    make_run,
    model,
    run_info,
    run_parameters,
)
from waybill.presets.illumina import instrument, run_xml
from waybill.presets.illumina.instrument import Phase

RTA = ("CopyComplete.txt", "RTAComplete.txt", "RTAComplete.xml")


def bare(folder: Path, name: str = "run_1", *files: str, info: bytes = b"") -> Path:
    """A run that says nothing about its instrument."""
    run = folder / name
    run.mkdir(parents=True)
    (run / "RunInfo.xml").write_bytes(info)
    for file in files:
        (run / file).parent.mkdir(parents=True, exist_ok=True)
        (run / file).write_bytes(b"")
    return run


def test_every_model_in_every_state(tmp_path):
    trees = make_all(tmp_path)
    assert {look for look, _ in trees} == set(MODELS)
    assert {state for _, state in trees} == set(STATES)
    for (look, state), run in trees.items():
        phase = {"in progress": Phase.IN_PROGRESS, "copying": Phase.COPYING}.get(state)
        found = instrument.state(run)
        assert found.phase == (phase or Phase.FINISHED), (look, state)
        assert found.notes == (), (look, state)
        assert (found.finished_at is None) == (phase is not None), (look, state)


@pytest.mark.parametrize(
    ("look", "name", "copies"),
    [
        ("NovaSeq 6000", "NovaSeq 6000", True),
        ("NovaSeq X", "NovaSeq X", True),
        ("NextSeq 2000", "NextSeq 1000/2000", True),
        ("MiSeq", "MiSeq", False),
        ("NextSeq 500", "NextSeq 500/550", False),
    ],
)
@pytest.mark.parametrize("left", ["both", "RunInfo.xml", "RunParameters.xml", "name"])
def test_the_instrument_is_told_by_either_file_or_the_name(tmp_path, look, name, copies, left):
    run = make_run(tmp_path, look)
    keep = {"both": ["RunInfo.xml", model(look).parameters], "name": []}.get(left, [left])
    if left == "RunParameters.xml":
        keep = [model(look).parameters]
        run = run.rename(tmp_path / "run_1")
    for file in ("RunInfo.xml", model(look).parameters):
        if file not in keep:
            (run / file).unlink()
    found = instrument.identify(run)
    assert (found.model, found.serial, found.copies) == (name, model(look).serial, copies)
    assert found.complete == (("CopyComplete.txt",) if copies else RTA)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("serial", "name", "copies"),
    [
        ("A00494", "NovaSeq 6000", True), ("LH00217", "NovaSeq X", True),
        ("VH00103", "NextSeq 1000/2000", True), ("VL00320", "NextSeq 1000/2000", True),
        ("SH01038", "MiSeq i100", True), ("M02439", "MiSeq", False), ("MN00218", "MiniSeq", None),
        ("NB501234", "NextSeq 500/550", False), ("NS500123", "NextSeq 500/550", False),
        ("NDX550123", "NextSeq 500/550", False), ("FS10000123", "iSeq 100", None),
        ("K00311", "HiSeq", False), ("D00611", "HiSeq", False), ("E00123", "HiSeq", False),
        ("ST-E00123", "HiSeq", False), ("SN7001250", "HiSeq", False), ("XYZ", "", None),
        ("", "", None), ("ADX00001", "NovaSeq 6000", True),
    ],
)  # fmt: skip
def test_serial_numbers(tmp_path, serial, name, copies):
    run = bare(tmp_path, info=run_info("run_1", serial))
    found = instrument.identify(run)
    assert (found.model, found.serial, found.copies) == (name, serial, copies)


@pytest.mark.parametrize(
    ("application", "name", "copies"),
    [
        ("<Application>NovaSeq Bucket Software</Application>", "NovaSeq 6000", True),
        ("<Application>control-software</Application><InstrumentType>NovaSeqXPlus"
         "</InstrumentType>", "NovaSeq X", True),
        ("<Application>NovaSeqXSeries Bucket Software</Application>", "NovaSeq X", True),
        ("<Application>MiSeqi100Series Bucket Software</Application>", "MiSeq i100", True),
        ("<ApplicationName>MiSeq Bucket Software</ApplicationName>"
         "<ApplicationVersion>3.1.0.13</ApplicationVersion>", "MiSeq", False),
        ("<ApplicationName>MiSeq Bucket Software</ApplicationName>"
         "<ApplicationVersion>4.0.0.1769</ApplicationVersion>", "MiSeq", True),
        ("<ApplicationName>NextSeq Bucket Software</ApplicationName>"
         "<ApplicationVersion>2.2.0.4</ApplicationVersion>", "NextSeq 500/550", False),
        ("<ApplicationName>NextSeq Bucket Software</ApplicationName>"
         "<ApplicationVersion>4.0.1.41</ApplicationVersion>", "NextSeq 500/550", True),
        ("<ApplicationName>MiniSeq Bucket Software</ApplicationName>", "MiniSeq", None),
        ("<ApplicationName>iSeq Bucket Software</ApplicationName>", "iSeq 100", None),
        ("<ApplicationName>HiSeq Bucket Software</ApplicationName>", "HiSeq", False),
    ],
)  # fmt: skip
def test_control_software(tmp_path, application, name, copies):
    run = bare(tmp_path, info=run_info("run_1", "UNHEARD1"))
    text = f'<r:RunParameters xmlns:r="urn:x"><Setup>{application}</Setup></r:RunParameters>'
    (run / "RunParameters.xml").write_text(text)
    found = instrument.identify(run)
    assert (found.model, found.copies) == (name, copies)


def test_data_that_is_still_copied_is_not_taken(tmp_path):
    """The seed's bug 11: RTAComplete.txt comes up to hours before the last file."""
    run = make_run(tmp_path, "NovaSeq 6000", "copying")
    found = instrument.state(run)
    assert found.phase == Phase.COPYING
    assert found.reason == (
        "RTAComplete.txt is there, but no CopyComplete.txt yet: the NovaSeq 6000 still copies"
    )
    (run / "CopyComplete.txt").write_bytes(b"")
    assert instrument.state(run).phase == Phase.FINISHED


def test_a_copy_that_never_ends_is_told_apart(tmp_path):
    run = make_run(tmp_path, "NextSeq 2000", "copying", age=3 * 86400)
    found = instrument.state(run)
    assert found.phase == Phase.COPYING
    assert found.reason.endswith(
        "still copies, for 3 days now; if that file never comes, set complete"
    )
    assert instrument.state(run, ["RTAComplete.txt"]).phase == Phase.FINISHED


@pytest.mark.parametrize("file", RTA)
def test_an_unknown_instrument_is_finished_with_any_of_the_files(tmp_path, file):
    run = bare(tmp_path, "run_1", file)
    grow_old(run, 7 * 3600)
    found = instrument.state(run)
    assert (found.phase, found.reason) == (Phase.FINISHED, f"{file} is there")
    assert found.notes == (f"{tmp_path}/run_1/RunInfo.xml: is empty",)


def test_the_configuration_says_what_is_complete(tmp_path):
    run = make_run(tmp_path, "NovaSeq X")
    assert instrument.state(run, ["Done.txt"]).phase == Phase.COPYING
    assert instrument.state(run, ["Done.txt"]).reason.endswith("no Done.txt yet")
    assert instrument.state(run, ["Done.txt", "RTAComplete.txt"]).phase == Phase.FINISHED
    nested = "Analysis/1/Data/Secondary_Analysis_Complete.txt"
    assert instrument.state(run, [nested]).phase == Phase.FINISHED
    assert instrument.state(run, ["RunInfo.xml/Done.txt"]).phase == Phase.COPYING
    assert instrument.state(run, ["Data"]).phase == Phase.COPYING, "a folder is no such file"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"<RunInfo><Run>", "is damaged: no element found"),
        (b"\x00\x01\x02", "is damaged: "),
        (b'<?xml version="1.0" encoding="klingon"?><RunInfo/>', "is damaged: unknown encoding"),
        (b'<?xml version="1.0" encoding="utf-16"?><RunInfo/>', "is damaged: "),
        (
            b'<!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
            + b"]><RunInfo>&a11;</RunInfo>",
            "is damaged: ",
        ),
    ],
)
def test_a_damaged_file_is_named_and_stops_nothing(tmp_path, data, says):
    run = make_run(tmp_path, "NovaSeq 6000")
    (run / "RunInfo.xml").write_bytes(data)
    found = instrument.identify(run)
    assert found.model == "NovaSeq 6000", "the name of the folder has the serial number"
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"{run}/RunInfo.xml: {says}")
    assert instrument.state(run).phase == Phase.FINISHED
    assert instrument.state(run).notes == found.notes


def test_a_damaged_run_parameters_is_named(tmp_path):
    run = make_run(tmp_path, "MiSeq")
    (run / "runParameters.xml").write_bytes(b"<x")
    found = instrument.state(run)
    assert found.phase == Phase.FINISHED
    assert found.notes[0].startswith(f"{run}/runParameters.xml: is damaged: ")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    run = make_run(tmp_path, "NovaSeq 6000")
    os.truncate(run / "RunInfo.xml", run_xml.MAX_BYTES + 1)
    assert "has more than 32 MiB" in instrument.identify(run).notes[0]


def test_a_run_under_another_name_is_noted(tmp_path):
    run = make_run(tmp_path, "NovaSeq 6000").rename(tmp_path / "241023_A01295_0432_X_again")
    found = instrument.state(run)
    assert found.phase == Phase.FINISHED
    original = model("NovaSeq 6000").run
    assert found.notes == (f"{run}/RunInfo.xml: is of run {original}, not of {run.name}",)


def test_a_run_settles(tmp_path):
    run = make_run(tmp_path, "NextSeq 2000", age=3600)
    now = time.time()
    assert instrument.state(run, settle=3000, now=now).phase == Phase.FINISHED
    found = instrument.state(run, settle=7200, now=now)
    assert found.phase == Phase.NOT_SETTLED
    assert found.reason.endswith("changed 60 minutes ago; a run settles for 2 hours")
    assert found.finished_at == pytest.approx(now - 3600, abs=5)


@pytest.mark.parametrize(
    "late", ["CopyComplete.txt", "InterOp/TileMetricsOut.bin", "SampleSheet.csv", "Logs"]
)
def test_what_keeps_a_run_from_settling(tmp_path, late):
    run = make_run(tmp_path, age=3600)
    now = time.time()
    os.utime(run / late, (now - 40, now - 40))
    found = instrument.state(run, settle=900, now=now)
    assert found.phase == Phase.NOT_SETTLED
    assert found.reason == f"{late} changed 40 s ago; a run settles for 15 minutes"
    assert instrument.state(run, settle=39, now=now).phase == Phase.FINISHED
    assert instrument.state(run, settle=0, now=now).phase == Phase.FINISHED


def test_a_clock_that_is_ahead_does_not_hold_a_run_for_ever(tmp_path):
    run = make_run(tmp_path, "MiSeq")
    grow_old(run, -30 * 86400)
    now = time.time()
    assert instrument.state(run, settle=60, now=now).phase == Phase.NOT_SETTLED
    assert instrument.state(run, settle=60, now=now + 120).phase == Phase.FINISHED


def test_a_link_that_leads_nowhere_changes_nothing(tmp_path):
    run = make_run(tmp_path, age=3600)
    (run / "broken").symlink_to(run / "nothing")
    (run / "InterOp" / "broken").symlink_to(run / "nothing")
    os.utime(run / "InterOp", (0, 0))
    assert instrument.state(run, settle=60).phase == Phase.FINISHED


def test_a_run_that_is_gone_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        instrument.state(tmp_path / "gone")


def test_two_hundred_finished_runs_take_no_time(tmp_path):
    made = []
    for number in range(200):
        run = bare(tmp_path, f"241023_A01295_{number:04}_X", "CopyComplete.txt")
        (run / "RunInfo.xml").write_bytes(run_info(run.name, "A01295"))
        (run / "RunParameters.xml").write_bytes(run_parameters(run.name, model("NovaSeq 6000")))
        made.append(run)
    started = time.monotonic()
    assert {instrument.state(run, settle=0).phase for run in made} == {Phase.FINISHED}
    assert time.monotonic() - started < 1
