"""Finding sequencing runs: what is one, how deep, and what stops nothing."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.illumina import make_run
from waybill.presets.illumina import runs

_CAP_DAC = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Root reads what it has no permission for; within this, it does not."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    effective = data[0]
    data[0] = effective & ~_CAP_DAC
    assert libc.capset(header, data) == 0
    try:
        yield
    finally:
        data[0] = effective
        assert libc.capset(header, data) == 0


def run(folder: Path, name: str = "run_1") -> Path:
    """The least that is a run."""
    made = folder / name
    made.mkdir(parents=True)
    (made / "RunInfo.xml").write_bytes(b"")
    return made


def test_runs_are_the_folders_with_a_run_info(tmp_path):
    second, first = run(tmp_path, "run_2"), run(tmp_path, "run_1")
    (tmp_path / "no_run").mkdir()
    (tmp_path / "RunInfo.csv").write_bytes(b"")
    (tmp_path / "a_folder" / "RunInfo.xml").mkdir(parents=True)
    found = runs.find([tmp_path])
    assert found.runs == [first, second]
    assert found.problems == []


def test_depth(tmp_path):
    one = run(tmp_path, "run_1")
    two = run(tmp_path / "2024", "run_2")
    three = run(tmp_path / "2024" / "10", "run_3")
    assert runs.find([tmp_path]).runs == [one]
    assert runs.find([tmp_path], 2).runs == [two, one]
    assert runs.find([tmp_path], 3).runs == [three, two, one]
    assert runs.find([tmp_path / "2024" / "10"], 1).runs == [three]


def test_a_folder_that_is_a_run_is_one(tmp_path):
    made = run(tmp_path)
    assert runs.find([made]).runs == [made]
    assert runs.find([made], 5).runs == [made]


def test_nothing_is_looked_for_inside_a_run(tmp_path):
    made = make_run(tmp_path)
    run(made, "Alignment_1")
    assert runs.find([tmp_path], 8).runs == [made]


def test_snapshots_are_not_runs(tmp_path):
    made = run(tmp_path)
    run(tmp_path / ".snapshot" / "hourly.0")
    run(tmp_path, ".run_1.partial")
    assert runs.find([tmp_path], 4).runs == [made]


def test_a_run_is_found_once(tmp_path):
    made = run(tmp_path / "2024")
    (tmp_path / "latest").symlink_to(made)
    (tmp_path / "loop").symlink_to(tmp_path)
    found = runs.find([tmp_path, tmp_path / "2024", str(tmp_path)], 4)
    assert found.runs == [made]
    assert found.problems == []


def test_a_link_to_a_run_is_a_run(tmp_path):
    made = run(tmp_path / "elsewhere")
    (tmp_path / "seq").mkdir()
    (tmp_path / "seq" / "linked").symlink_to(made)
    (tmp_path / "seq" / "broken").symlink_to(tmp_path / "nothing")
    found = runs.find([tmp_path / "seq"])
    assert found.runs == [tmp_path / "seq" / "linked"]
    assert found.problems == []


def test_what_cannot_be_looked_at_stops_nothing_else(tmp_path):
    good = run(tmp_path / "good")
    missing, file = tmp_path / "gone", tmp_path / "file"
    file.write_text("x")
    closed = tmp_path / "closed"
    run(closed)
    half = tmp_path / "half"
    open_run, shut_run = run(half, "a_open"), run(half, "b_shut")
    loop = half / "c_loop"
    loop.symlink_to(loop)
    closed.chmod(0)
    shut_run.chmod(0)
    try:
        with bound_by_permissions():
            found = runs.find([missing, file, closed, half, tmp_path / "good"])
    finally:
        closed.chmod(0o755)
        shut_run.chmod(0o755)
    assert found.runs == [open_run, good]
    reasons = {problem.path: problem.reason for problem in found.problems}
    assert list(reasons) == [missing, file, closed, loop, shut_run]
    assert reasons[missing].startswith("does not exist; ")
    assert reasons[file].startswith("is not a folder; ")
    denied = "cannot list the folder: Permission denied; give read permission"
    assert reasons[closed] == reasons[shut_run] == denied
    assert reasons[loop].startswith("cannot look at the folder: Too many levels")


def test_names_with_any_characters(tmp_path):
    names = ["seq (A)+", "[1-9]*?", "Müller \u00e9", "a\nb"]
    made = [run(tmp_path / name) for name in names]
    undecodable = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    made.append(run(undecodable))
    assert sorted(runs.find([tmp_path], 2).runs) == sorted(made)


def test_two_hundred_runs_take_no_time(tmp_path):
    for number in range(200):
        run(tmp_path / "seq", f"241023_A01295_{number:04}_BHK3NFDRX5")
    started = time.monotonic()
    found = runs.find([tmp_path / "seq"])
    assert len(found.runs) == 200
    assert time.monotonic() - started < 0.5
