"""The state file of a run: the eight fields, whose it is, and what becomes of a damaged one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.presets.illumina import run_state
from waybill.presets.illumina.run_state import RunState, Standing

# As s3_upload writes it.
SEED = {
    "run_id": "run_1",
    "run_path": "/abs/seqA/run_1",
    "completed": True,
    "total_local_files": 6,
    "total_uploaded_files": 6,
    "total_failed_upload": 0,
    "failed_upload_files": [],
    "uploaded_files": {"/abs/seqA/run_1/RunInfo.xml": "401b30e3b8b5d629635a5c613cdb7919"},
}
RUN = Path("/abs/seqA/run_1")
OTHER = Path("/abs/seqB/run_1")


def seed(uploads: Path, **changes: object) -> Path:
    """A file that the seed wrote."""
    uploads.mkdir(exist_ok=True)
    file = uploads / "run_1.upload.log.json"
    file.write_text(json.dumps({**SEED, **changes}, indent=4))
    return file


def test_the_eight_fields_as_the_seed_writes_them(tmp_path):
    file = tmp_path / "uploads" / "run_1.upload.log.json"
    run_state.write(file, RunState(**SEED))
    assert file.read_text() == json.dumps(SEED, indent=4)
    assert list(json.loads(file.read_text())) == list(SEED)
    assert run_state.read(file) == RunState(**SEED)
    assert [p.name for p in file.parent.iterdir()] == [file.name], "nothing half-written is left"


def test_a_run_that_nobody_began(tmp_path):
    known = run_state.find(tmp_path / "uploads", RUN)
    assert known.file == tmp_path / "uploads" / "run_1.upload.log.json"
    assert (known.state, known.notes, known.standing) == (None, (), Standing.NEW)
    assert not (tmp_path / "uploads").exists()


def test_what_the_seed_completed_is_completed(tmp_path):
    file = seed(tmp_path)
    known = run_state.find(tmp_path, RUN)
    assert (known.file, known.standing) == (file, Standing.COMPLETED)
    assert known.state == RunState(**SEED)


def test_what_the_seed_began_is_partial(tmp_path):
    seed(tmp_path, completed=False, total_uploaded_files=1, more="of a later version")
    assert run_state.find(tmp_path, RUN).standing == Standing.PARTIAL


def test_a_run_of_the_same_name_on_a_second_sequencer(tmp_path):
    """The seed's bug 6: the second was taken for uploaded and never sent."""
    plain = seed(tmp_path)
    known = run_state.find(tmp_path, OTHER)
    assert known.standing == Standing.NEW
    assert known.file.name.startswith("run_1.")
    assert known.file != plain
    run_state.write(known.file, run_state.recorded(OTHER, ["a"], {"a": "1"}))
    again = run_state.find(tmp_path, OTHER)
    assert (again.file, again.standing) == (known.file, Standing.COMPLETED)
    assert run_state.find(tmp_path, RUN).file == plain
    third = run_state.find(tmp_path, Path("/abs/seqC/run_1"))
    assert third.standing == Standing.NEW
    assert third.file not in (plain, known.file)


def test_a_run_keeps_its_file_when_the_plain_name_becomes_free(tmp_path):
    plain = seed(tmp_path)
    known = run_state.find(tmp_path, OTHER)
    run_state.write(known.file, run_state.recorded(OTHER, ["a"], {}))
    plain.unlink()
    assert run_state.find(tmp_path, OTHER).file == known.file
    assert run_state.find(tmp_path, RUN).file == plain


@pytest.mark.parametrize(
    ("run_path", "is_its"),
    [
        ("/abs/seqA/run_1", True),
        ("/abs/seqA/run_1/", True),
        ("/abs/seqA/./run_1", True),
        ("/abs/seqA/run_1/../run_1", True),
        ("/abs/seqA/run_10", False),
        ("/abs/seqB/run_1", False),
        ("/abs/seqA", False),
        ("run_1", False),
        ("abs/seqA/run_1", False),
        ("", False),
    ],
)
def test_whose_state_it_is(tmp_path, run_path, is_its, monkeypatch):
    monkeypatch.chdir("/")
    seed(tmp_path, run_path=run_path)
    known = run_state.find(tmp_path, RUN)
    assert known.standing == (Standing.COMPLETED if is_its else Standing.NEW)
    assert (known.file.name == "run_1.upload.log.json") == is_its


def test_a_link_to_a_run_is_the_run(tmp_path):
    run = tmp_path / "seqA" / "run_1"
    run.mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "seqA")
    uploads = tmp_path / "uploads"
    seed(uploads, run_path=str(run))
    assert run_state.find(uploads, tmp_path / "current" / "run_1").standing == Standing.COMPLETED
    seed(uploads, run_path=str(tmp_path / "gone" / "run_1"))
    own = run_state.find(uploads, run).file
    assert run_state.find(uploads, tmp_path / "current" / "run_1").file == own


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"run_id": "run_1", "completed": tr',
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        *(
            json.dumps({**SEED, key: value}).encode()
            for key, value in [
                ("completed", "true"), ("completed", 1), ("run_path", None), ("run_id", 7),
                ("total_local_files", "6"), ("total_failed_upload", True),
                ("failed_upload_files", {}), ("failed_upload_files", [1]),
                ("uploaded_files", []), ("uploaded_files", {"/a": None}),
            ]
        ),
        json.dumps({k: v for k, v in SEED.items() if k != "uploaded_files"}).encode(),
    ],
)  # fmt: skip
def test_a_damaged_state_is_set_aside(tmp_path, data):
    """The seed's bugs 9 and 14: one such file ended every later run of the scheduler."""
    file = seed(tmp_path)
    file.write_bytes(data)
    told = run_state.find(tmp_path, RUN, mend=False)
    assert (told.file, told.standing) == (file, Standing.NEW)
    assert told.notes[0].startswith(f"{file}: is damaged: ")
    assert told.notes[0].endswith("; the state is made anew from the bucket")
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    known = run_state.find(tmp_path, RUN)
    aside = tmp_path / f"{file.name}.corrupt-1"
    assert (known.file, known.standing) == (file, Standing.NEW)
    assert f"; it is {aside.name} now; " in known.notes[0]
    assert aside.read_bytes() == data
    assert not file.exists()
    assert run_state.find(tmp_path, RUN).notes == ()


def test_no_damaged_state_is_ever_lost(tmp_path):
    for number in range(1, 4):
        seed(tmp_path).write_text(f"damaged {number}")
        assert f"corrupt-{number} now" in run_state.find(tmp_path, RUN).notes[0]
    assert [(tmp_path / f"run_1.upload.log.json.corrupt-{n}").read_text() for n in (1, 2, 3)] == [
        "damaged 1",
        "damaged 2",
        "damaged 3",
    ]


def test_two_transfers_set_aside_the_same_damaged_state(tmp_path, monkeypatch):
    """The other one is faster, between the look at the file and its renaming."""
    damaged = seed(tmp_path)
    damaged.write_text("{")
    read = run_state.read

    def beaten(file):
        try:
            return read(file)
        finally:
            if file == damaged:
                run_state.set_aside(file)

    monkeypatch.setattr(run_state, "read", beaten)
    known = run_state.find(tmp_path, RUN)
    assert known == (damaged, None, ())  # the other one has told of it
    assert [p.name for p in tmp_path.iterdir()] == [f"{damaged.name}.corrupt-1"]


def test_a_damaged_state_of_its_own(tmp_path):
    seed(tmp_path)
    own = run_state.find(tmp_path, OTHER).file
    own.write_text("{")
    known = run_state.find(tmp_path, OTHER)
    assert (known.file, known.state, len(known.notes)) == (own, None, 1)


def test_a_state_that_cannot_be_read_is_no_damage(tmp_path):
    (tmp_path / "run_1.upload.log.json").mkdir()
    with pytest.raises(IsADirectoryError):
        run_state.find(tmp_path, RUN)
    assert (tmp_path / "run_1.upload.log.json").is_dir()


def test_a_run_that_is_half_done():
    state = run_state.recorded(RUN, ["b", "a", "c"], {"a": '"e1"', "b": "e2"}, ["c"])
    assert state == RunState(
        run_id="run_1",
        run_path="/abs/seqA/run_1",
        completed=False,
        total_local_files=3,
        total_uploaded_files=2,
        total_failed_upload=1,
        failed_upload_files=["/abs/seqA/run_1/c"],
        uploaded_files={"/abs/seqA/run_1/a": "e1", "/abs/seqA/run_1/b": "e2"},
    )
    assert run_state.recorded(RUN, ["a", "b"], {"a": "e1"}).completed is False
    assert run_state.recorded(RUN, ["a", "b"], {"a": "e1", "b": "e2"}).completed is True


def test_what_failed_is_not_uploaded():
    state = run_state.recorded(RUN, ["a"], {"a": "of an earlier time"}, ["a"])
    assert (state.completed, state.total_uploaded_files, state.uploaded_files) == (False, 0, {})


def test_numbers_do_not_drift():
    """The seed's bugs 5 and 13: it added numbers up, and files that were gone or are excluded
    now kept a run from ever being complete."""
    before = run_state.recorded(RUN, ["a", "b", "c"], {"a": "1", "b": "2"}, ["c"])
    assert before.completed is False
    after = run_state.recorded(RUN, ["a", "d"], {"a": "1", "b": "2", "d": "4"})
    assert after.completed is True
    assert (after.total_local_files, after.total_uploaded_files) == (2, 2)
    assert list(after.uploaded_files) == ["/abs/seqA/run_1/a", "/abs/seqA/run_1/d"]
    assert (after.total_failed_upload, after.failed_upload_files) == (0, [])


def test_a_run_without_files_is_not_uploaded():
    """The seed's bug 8: everything excluded was "Fully uploaded"."""
    assert run_state.recorded(RUN, [], {}).completed is False


NAMES = st.text("ab/ü\udc80\n", min_size=1, max_size=4)


@given(local=st.sets(NAMES), uploaded=st.dictionaries(NAMES, st.text("ef0")), failed=st.sets(NAMES))
def test_the_fields_always_agree(tmp_path_factory, local, uploaded, failed):
    state = run_state.recorded(RUN, local, uploaded, failed)
    assert state.total_uploaded_files == len(state.uploaded_files) <= state.total_local_files
    assert state.total_failed_upload == len(state.failed_upload_files)
    assert state.completed == (
        bool(local) and not failed and state.total_local_files == state.total_uploaded_files
    )
    assert not state.uploaded_files.keys() & set(state.failed_upload_files)
    file = tmp_path_factory.getbasetemp() / "any" / "run_1.upload.log.json"
    run_state.write(file, state)
    assert run_state.read(file) == state


def test_names_of_any_bytes(tmp_path):
    run = Path(os.fsdecode(b"/seq/\xff/run (A)+"))
    known = run_state.find(tmp_path, run)
    run_state.write(known.file, run_state.recorded(run, ["a"], {"a": "1"}))
    assert known.file.read_bytes().isascii()
    assert run_state.find(tmp_path, run).standing == Standing.COMPLETED
