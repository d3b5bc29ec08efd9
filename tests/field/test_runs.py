"""Sequencing runs and folders of instruments as they really are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sequencing import Core, sent

from support.illumina import grow_old, make_run, run_info
from support.proxy import access_denied
from waybill.presets.illumina.instrument import Phase, state

HOUR = 3600
ISEQ = ("240103_FS10000001_3_BPC00000-0001", "FS10000001")
MINISEQ = ("190211_MN00218_0042_A000H2KYC3", "MN00218")


def run_of(folder: Path, name: str, serial: str, *files: str, age: float = 0) -> Path:
    """A run without RunParameters, all of it ``age`` seconds old."""
    run = folder / name
    (run / "Data").mkdir(parents=True)
    (run / "RunInfo.xml").write_bytes(run_info(name, serial))
    for file in files:
        (run / file).write_bytes(b"")
    grow_old(run, age)
    return run


@pytest.mark.parametrize("name", [ISEQ, MINISEQ], ids=["iSeq 100", "MiniSeq"])
def test_C1_iseq_and_miniseq_are_finished_by_copycomplete_or_after_a_quiet_time(
    tmp_path: Path, name: tuple[str, str]
) -> None:
    run = run_of(tmp_path, *name, "RTAComplete.txt", age=5 * HOUR)
    found = state(run)
    assert found.phase is Phase.NOT_SETTLED
    assert "a run settles for 6 hours, as the " in found.reason
    assert "set complete if not so" in found.reason
    assert state(run, settle=8 * HOUR).phase is Phase.NOT_SETTLED
    grow_old(run, 7 * HOUR)
    assert state(run).phase is Phase.FINISHED
    assert state(run, settle=8 * HOUR).phase is Phase.NOT_SETTLED, "the longer time counts"
    grow_old(run, 0)
    (run / "CopyComplete.txt").write_bytes(b"")
    assert state(run).phase is Phase.FINISHED, "all files have arrived"


def test_C1_a_run_without_either_file_is_never_taken(tmp_path: Path) -> None:
    run = run_of(tmp_path, *ISEQ, age=30 * 24 * HOUR)
    found = state(run)
    assert found.phase is Phase.IN_PROGRESS
    assert found.reason == "no CopyComplete.txt or RTAComplete.txt or RTAComplete.xml yet"


FIRST, SECOND = "CopyComplete.txt", "Analysis/1/Data/Secondary_Analysis_Complete.txt"


def test_C2_all_files_of_complete(tmp_path: Path) -> None:
    run = make_run(tmp_path, "NextSeq 2000")
    both = {"complete": [FIRST, SECOND], "complete_all": True}
    assert state(run, [FIRST, SECOND]).phase is Phase.FINISHED, "any of them"
    found = state(run, **both)
    assert found.phase is Phase.COPYING
    assert f"no {SECOND} yet" in found.reason
    assert FIRST not in found.reason.partition("but ")[2]
    (run / SECOND).parent.mkdir(parents=True)
    (run / SECOND).write_bytes(b"")
    found = state(run, **both)
    assert (found.phase, found.lacks) == (Phase.FINISHED, "")
    (run / FIRST).unlink()
    assert f"no {FIRST} yet" in state(run, **both).reason


def test_C2_the_first_file_waits_for_the_others_no_longer_than_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, "NextSeq 2000", age=3 * HOUR)
    both: dict[str, Any] = {"complete": [FIRST, SECOND], "complete_all": True}
    assert state(run, **both, complete_timeout=4 * HOUR).phase is Phase.COPYING
    assert state(run, **both, complete_timeout=0).phase is Phase.COPYING, "no limit"
    found = state(run, **both, complete_timeout=2 * HOUR)
    assert found.phase is Phase.FINISHED
    assert found.lacks == (
        f"{FIRST} is there, and {SECOND} did not come within 2 hours (complete_timeout)"
    )
    assert state(run, **both, complete_timeout=2 * HOUR, settle=4 * HOUR).phase is Phase.NOT_SETTLED
    (run / FIRST).unlink()
    grow_old(run, 99 * HOUR)
    assert state(run, **both, complete_timeout=HOUR).phase is Phase.COPYING, "none of them came"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("<RunCompletionStatus><CompletionStatus>{}</CompletionStatus></RunCompletionStatus>", s)
        for s in ("UserEndedEarly", "ExceptionEndedEarly")
    ]
    + [
        ('<r xmlns="x"><RunStatus>{}</RunStatus><ErrorDescription>None</ErrorDescription></r>', s)
        for s in ("RunErrored", "UserStopped", "RunAborted")
    ],
)
def test_C2_an_aborted_run_is_told_apart(tmp_path: Path, text: str, status: str) -> None:
    run = make_run(tmp_path, "NextSeq 2000")
    (run / "RunCompletionStatus.xml").write_text(text.format(status))
    found = state(run)
    assert found.phase is Phase.ABORTED
    assert found.reason == (f"RunCompletionStatus.xml says {status}; set aborted to have it taken")
    assert state(run, aborted=True).phase is Phase.FINISHED
    (run / FIRST).unlink()
    assert state(run).phase is Phase.ABORTED, "and not in progress for ever"


@pytest.mark.parametrize(
    "text",
    [
        "<r><CompletionStatus>CompletedAsPlanned</CompletionStatus>"
        "<ErrorDescription>an error that was mended</ErrorDescription></r>",
        "<r><RunStatus>RunCompleted</RunStatus></r>",
        "<r><Status>Failed</Status></r>",
        "<r><RunStatus/></r>",
        "<r>",
        "",
        "RunCompletionStatus.xml\n",
    ],
)
def test_C2_any_other_status_aborts_nothing(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path, "NovaSeq 6000")
    (run / "RunCompletionStatus.xml").write_text(text)
    assert state(run).phase is Phase.FINISHED


ABORTED = "<r><CompletionStatus>UserEndedEarly</CompletionStatus></r>"


def test_C2_the_monitor_waits_for_all_files_and_tells_aborted_runs(core: Core) -> None:
    whole = core.make_run("run_1")
    core.make_run("run_2")
    core.make_run("run_3")
    stopped = core.make_run("run_4")
    (stopped / "RunCompletionStatus.xml").write_text(ABORTED)
    core.add(whole, "Done.txt")
    grow_old(core.data / "A" / "run_3", 50 * HOUR)
    both = {"complete": [FIRST, "Done.txt"], "complete_all": True, "complete_timeout": 48}
    core.configure(core.section("A", **both), max_cores=1, max_age=0)
    said = core.monitor()
    assert {key.partition("/")[0] for key in sent(said)} == {"run_1", "run_3"}
    folder = core.data / "A"
    for line in (
        f"INFO: held back: copying: RTAComplete.txt is there, but no Done.txt yet: {folder}/run_2",
        f"{folder}/run_3: taken as it is: {FIRST} is there, and Done.txt did not come within 2 days"
        " (complete_timeout)",
        "WARNING: held back: aborted: RunCompletionStatus.xml says UserEndedEarly; set aborted to"
        f" have it taken: {stopped}",
    ):
        assert line in said.all, f"{line}\n{said.all}"
    core.configure(core.section("A", **both, aborted=True), max_cores=1, max_age=0)
    core.add(stopped, "Done.txt")
    assert {key.partition("/")[0] for key in sent(core.monitor())} == {"run_4"}

    said = core.upload("--local_path", str(stopped), "--bucket", core.bucket, code=1)
    text = "aborted: RunCompletionStatus.xml says UserEndedEarly; --skip_check uploads it as it is"
    assert text in said.err
    assert "set aborted" not in said.err


def test_C2_a_command_runs_after_each_run(core: Core, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    script = tmp_path / "after.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        "told = json.load(sys.stdin)\n"
        "print('seen', told['run_id'])\n"
        f"if pathlib.Path({str(tmp_path / 'broken')!r}).exists(): sys.exit(3)\n"
        "told['env'] = {k: v for k, v in os.environ.items() if k.startswith('WAYBILL_')}\n"
        f"file = pathlib.Path({str(told)!r}, f\"{{told['run_id']}}-{{os.getpid()}}\")\n"
        "file.write_text(json.dumps(told))\n"
    )
    command = [sys.executable, str(script), "x", "x"]

    def heard() -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(told.iterdir())]

    one, two = core.make_run("run_1"), core.make_run("run_2")
    core.make_run("run_3", without=("CopyComplete.txt",))
    fault = core.proxy.fault(access_denied(), op="PutObject", key="to/run_2/Data/L001.cbcl")
    core.configure(core.section("A", to="to"), max_cores=1, command=command)
    said = core.monitor(code=1)
    (first,) = heard()
    env = first.pop("env")
    manifests = core.keys("^to/manifests/")
    assert first == {
        "run": str(one), "run_id": "run_1", "files": 5,
        "bytes": sum(path.stat().st_size for path in one.rglob("*.*")),
        "destinations": [f"s3://{core.bucket}/to/run_1/"],
        "manifests": [f"s3://{core.bucket}/{key}" for key in manifests],
    }  # fmt: skip
    assert (env["WAYBILL_RUN"], env["WAYBILL_FILES"]) == (str(one), "5")
    assert env["WAYBILL_DESTINATIONS"] == f"s3://{core.bucket}/to/run_1/"
    assert "seen run_1" in said.out

    # The command fails: that is said, and it runs again, though the run is sent only once.
    core.proxy.faults.remove(fault)
    (tmp_path / "broken").touch()
    said = core.monitor(code=1)
    assert sent(said)
    assert f"{two}: the command after the run failed: " in said.err
    assert "exit code 3; it runs again at the next pass" in said.err
    assert core.state("run_2")["completed"] is True
    assert len(heard()) == 1
    (tmp_path / "broken").unlink()
    assert core.monitor().requests == []
    assert [told["run_id"] for told in heard()] == ["run_1", "run_2"]
    core.grow_old(hours=25)  # both are looked at again, and nothing has changed
    core.monitor()
    assert len(heard()) == 2
