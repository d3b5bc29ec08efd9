"""``s3-upload monitor``: which runs go where, what is told of them, and what stands afterwards."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from sequencing import FIELDS, FILES, Core, sent

from support.illumina import grow_old, sheet

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[s3_upload_\w+\] (?:DEBUG|INFO|WARNING|ERROR): .+"
)


def test_two_sequencers(core: Core) -> None:
    """From a dry run to drift that is repaired; both sequencers name a run alike."""
    for folder in "AB":
        core.make_run("run_1", folder)
    core.make_run("run_2", "B")
    core.make_run("run_3", "B", without=("CopyComplete.txt",))
    core.configure(
        core.section("A"), core.section("B", to="/sequencer_B/"), log_level="info", max_threads=2
    )
    today = datetime.now().astimezone().date()

    dry = core.monitor("--dry_run")
    assert {r.method for r in dry.requests} == {"GET"}
    for line in (
        f"{core.data}/A/run_1 would be uploaded to {core.bucket}:/run_1",
        f"{core.data}/B/run_1 would be uploaded to {core.bucket}:/sequencer_B/run_1",
        f"{core.data}/B/run_2 would be uploaded to {core.bucket}:/sequencer_B/run_2",
    ):
        assert line in dry.out
    assert "run_3 would be" not in dry.out
    left = sorted(path.name for path in core.log_dir.rglob("*"))
    assert left == ["s3_upload.lock", f"s3_upload.log.{today}"]

    old, kept = (f"s3_upload.log.{today - timedelta(days=days)}" for days in (6, 5))
    for name in (old, kept, "s3_upload.log.txt"):
        (core.log_dir / name).write_text("old")
    said = core.monitor()
    assert not (core.log_dir / old).exists()
    assert (core.log_dir / kept).exists()
    assert (core.log_dir / "s3_upload.log.txt").exists()
    assert said.err == ""
    assert core.log() == dry.out + said.out
    for line in core.log().splitlines():
        assert LINE.fullmatch(line), line
    assert "held back: copying: RTAComplete.txt is there" in said.out
    assert re.search(r"B/run_2: 5 file\(s\), .* uploaded to s3://.*; 5 of 5 proven", said.out)
    assert "3 run(s) uploaded" in said.out
    places = {"A": "run_1", "B": "sequencer_B/run_1"}
    for folder, key in places.items():
        assert core.body(f"{key}/Data/L001.cbcl") == f"{folder} Data/L001.cbcl".encode()

    # The second run_1 has a state of its own, under another name.
    files = sorted(path.name for path in core.uploads.glob("*.*"))
    assert len(files) == 3
    assert re.fullmatch(r"run_1\.[0-9a-f]{8}\.upload\.log\.json", files[0])
    for file in files:
        state = core.state(file.removesuffix(".upload.log.json"))
        assert list(state) == FIELDS
        run, name = state["run_path"], state["run_id"]
        assert state["completed"] is True
        assert state["total_local_files"] == state["total_uploaded_files"] == len(FILES)
        assert (state["total_failed_upload"], state["failed_upload_files"]) == (0, [])
        prefix = "" if run == f"{core.data}/A/run_1" else "sequencer_B/"
        for path in FILES:
            head = core.proxy.client().head_object(Bucket=core.bucket, Key=f"{prefix}{name}/{path}")
            assert state["uploaded_files"][f"{run}/{path}"] == head["ETag"].strip('"')

    idle = core.monitor()
    assert idle.requests == []
    assert "nothing uploaded" in idle.out

    # A day later: an object is gone, a file has come, a state was lost.
    core.grow_old(hours=25)
    core.proxy.straight().delete_object(Bucket=core.bucket, Key="run_1/Data/L001.cbcl")
    core.add(core.data / "B" / "run_2", "Logs/late.log")
    (core.uploads / "run_2.upload.log.json").unlink()
    again = core.monitor()
    assert sorted(sent(again)) == ["run_1/Data/L001.cbcl", "sequencer_B/run_2/Logs/late.log"]
    state = core.state("run_2")
    assert (state["completed"], state["total_uploaded_files"]) == (True, 6)
    assert (core.log_dir / "s3_upload.lock").read_text() == ""


def test_runs_whose_state_is_damaged_are_looked_at_again(core: Core) -> None:
    """Their state files, which say that they are completed, do not keep them from it."""
    core.make_run("run_1")
    core.configure(core.section("A"), log_level="info")
    core.monitor()
    (state,) = core.log_dir.glob("waybill/*/results/*/state.json")
    state.write_bytes(state.read_bytes()[:-9])
    core.proxy.straight().delete_object(Bucket=core.bucket, Key="run_1/Data/L001.cbcl")
    assert sent(core.monitor()) == ["run_1/Data/L001.cbcl"]


def test_two_regexes_and_all_that_can_be_wrong_with_runs(core: Core) -> None:
    """What cannot be taken is named, and stops nothing."""

    def make(name: str, *samples: str, folder: str = "A", text: str = "") -> Path:
        less = ("Data/L001.cbcl", "RTAComplete.txt")
        return core.make_run(name, folder, without=less, SampleSheet=text or sheet(samples))

    make("first", "S1_assay_1", "S2_assay_1")
    latin = "[Header]\nInvestigator,Müller\n\n[Data],,\nLane,Sample_ID,I\n1,S1_assay_2,A\n,,\n"
    make("second", folder="A/2024", text=latin)
    make("both", "S1_assay_1_assay_2")
    make("mixed", "S1_assay_1", "S2_assay_2")
    make("no_samples", text="[Data]\nSample_ID,Index\n")
    core.make_run("no_sheet", without=("SampleSheet.csv",))
    grow_old(make("old", "S1_assay_1"), 100 * 3600)
    # What the seed left: completed, begun long ago, and cut off by a kill.
    core.write_state(make("done", "S1_assay_1"))
    begun = make("begun", "S1_assay_1")
    grow_old(begun, 100 * 3600)
    core.write_state(begun, completed=False, total_local_files=9, total_uploaded_files=14)
    torn = core.write_state(make("torn", "S1_assay_1"))
    torn.write_bytes(torn.read_bytes()[:-60])
    make("weird", "S1_assay_1")
    (core.uploads / "weird.upload.log.json").mkdir()
    # All of it excluded, and a pattern that would match the path of the monitored folder.
    nothing = make("nothing", "S1", folder="C")
    core.configure(
        core.section("A", to="one", sample_regex="_assay_1", depth=2),
        core.section("A", "nowhere", to="two", sample_regex="_assay_2$", depth=2),
        core.section("C", to="three", exclude_patterns=["^/", str(core.data)]),
        core.section("D", to="one"),
    )
    (core.data / "D").mkdir()
    said = core.monitor(code=1)
    assert {key.rsplit("/", 1)[0] for key in core.keys("RunInfo.xml")} == {
        "one/first", "one/both", "one/begun", "one/torn", "two/second", "two/both",
    }  # fmt: skip
    order = [key.partition("/")[2].partition("/")[0] for key in sent(said)]
    assert set(order[: len(FILES) - 2]) == {"begun"}, "a new run before the one that was begun"
    for run in ("first", "both", "begun", "torn", "second"):
        assert core.state(run)["completed"] is True
        assert core.state(run)["total_local_files"] == core.state(run)["total_uploaded_files"] == 3
    assert len(core.state("both")["uploaded_files"]) == 3
    assert not (core.uploads / "nothing.upload.log.json").exists()
    assert (core.uploads / "torn.upload.log.json.corrupt-1").exists()

    folder = core.data / "A"
    for line in (
        f"WARNING: {folder}/both: goes 2 ways: s3://{core.bucket}/one/, s3://{core.bucket}/two/",
        f"INFO: {folder}/mixed: taken by no section of monitor: 1 of 2 samples do not match",
        f"ERROR: FAILED {core.data}/nowhere: does not exist",
        f"ERROR: FAILED {folder}/no_sheet: no sample sheet",
        f"ERROR: FAILED {folder}/no_samples: ",
        f"ERROR: FAILED {folder}/weird: cannot be looked at: Is a directory",
        f"ERROR: FAILED {nothing.name}: holds no file to upload",
        "WARNING: held back: finished 100 hours ago, more than max_age (72)",
        f"{torn}: is damaged: ",
        f"; it is {torn.name}.corrupt-1 now; the state is made anew from the bucket",
    ):
        assert line in said.all, f"{line}\n{said.all}"
    assert f"{folder}/done" not in said.all
    assert said.err.count(f"FAILED {folder}/no_sheet") == 1
    for run in ("first", "old", "no_sheet"):
        assert f"{folder}/{run}: taken by no" not in said.all

    # Another run of a name that is taken, by another section with the same destination.
    make("first", "S1", folder="D")
    again = core.monitor(code=1)
    assert sent(again) == []
    assert f"{core.data}/D/first: would go to the same place as {folder}/first" in again.err
    assert "nothing uploaded; 6 failure(s)" in again.out


def test_toml(core: Core) -> None:
    core.make_run("run_1", without=("CopyComplete.txt", "SampleSheet.csv"))
    file = core.home / "monitor.toml"
    file.write_text(
        f'log_dir = "{core.log_dir}"\nmax_cores = 1\n[[monitor]]\nmonitored_directories = ["$RUNS"]'
        f'\nbucket = "{core.bucket}"\nremote_path = "/"\ncomplete = ["RTAComplete.txt"]\n'
    )
    words = ("monitor", "--config", str(file))
    said = core.run(*words, command="s3_upload", RUNS=str(core.data / "A"))
    assert len(sent(said)) == 3
