"""The runs of a transfer, as an inventory finds them: which are looked at, which rest, and why."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.transfers import transfer_of
from waybill.model.dataset import Found
from waybill.model.failure import Failure
from waybill.presets.illumina import datasets, run_state, waiting
from waybill.presets.illumina.run_state import RunState
from waybill.results import failures
from waybill.results.layout import Layout
from waybill.results.state import Place, State

NOW = datetime.now(UTC)


@dataclass
class Core:
    """Monitored folders ``A`` and ``B``, and what earlier inventories saw."""

    folder: Path
    before: State

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results" / "runs")

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    def make_run(self, name: str, folder: str = "A") -> Path:
        run = self.folder / folder / name
        run.mkdir(parents=True)
        (run / "RunInfo.xml").write_text("<RunInfo/>")
        (run / "CopyComplete.txt").write_text("")
        return run

    def know(self, run: Path, **counts: Any) -> Path:
        """Have the last inventory have seen a run."""
        place = Place(str(run), f"runs/{run.name}/", looked=NOW.timestamp(), **counts)
        self.before.places[run.name] = place
        return run

    def find(self, *, mend: bool = True, **settings: Any) -> Found:
        folders = (self.folder / "A", self.folder / "B")
        transfer = transfer_of(
            folders[0],
            "b",
            "runs/",
            name="runs",
            folders=folders,
            results=self.layout.root,
            preset="illumina",
            preset_settings={"uploads": str(self.uploads), **settings},
        )
        return datasets.find(transfer, self.before, mend=mend)


@pytest.fixture
def core(tmp_path: Path) -> Core:
    for name in ("A", "B", "uploads"):
        (tmp_path / name).mkdir()
    return Core(tmp_path, State())


def looks(found: Found) -> dict[str, bool]:
    return {dataset.name: dataset.look for dataset in found.datasets}


def test_runs_of_a_folder_that_is_away_are_not_gone(core: Core) -> None:
    core.know(core.make_run("run_1", "B"))
    core.know(core.make_run("run_2"))
    shutil.rmtree(core.folder / "B")
    found = core.find()
    assert looks(found) == {"run_1": False, "run_2": True}
    assert [failure.path for failure in found.failed] == [str(core.folder / "B")]
    shutil.rmtree(core.folder / "A" / "run_2")
    assert looks(core.find()) == {"run_1": False}


def test_a_run_that_keeps_failing_rests_and_stays_failed(core: Core) -> None:
    run = core.know(core.make_run("run_1"))
    state_file = core.uploads / f"run_1{run_state.SUFFIX}"
    run_state.write(state_file, RunState("run_1", str(run)))
    batch = "b0123456789abcdef"
    record = failures.record_path(core.layout, "upload", "run_1", batch)
    other = failures.record_path(core.layout, "upload", "run_1.old", batch)
    for path in (record, other):
        failures.write(path, [Failure("Data/a", 1, "denied"), Failure("Data/b", 1, "denied")])
    waiting.failed(state_file, "denied", NOW)
    assert looks(core.find()) == {"run_1": True}

    waiting.failed(state_file, "denied", NOW)
    kept = failures.record_path(core.layout, "resting", "run_1")
    assert looks(core.find(mend=False)) == {"run_1": False}
    assert not kept.exists()
    for _ in range(2):  # the inventory forgets the record of the upload, but not this one
        found = core.find()
        assert looks(found) == {"run_1": False}
        assert list(found.held) == [str(run)]
        assert found.failed == []
        assert [f.path for f in failures.read(core.layout, kept.name)] == ["Data/a", "Data/b"]
        record.unlink(missing_ok=True)

    core.before.places.clear()  # unknown here, it is failed as a whole
    assert [failure.path for failure in core.find().failed] == [str(run)]
    core.know(run)
    waiting.succeeded(state_file)
    assert looks(core.find()) == {"run_1": True}
    assert not kept.exists()


def test_what_a_state_says(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    for name, completed in (("done", True), ("begun", False)):
        run = core.make_run(name)
        run_state.write(core.uploads / f"{name}{run_state.SUFFIX}", RunState(name, str(run)))
        state = RunState(name, str(run), completed, 1, 1, uploaded_files={f"{run}/a": "e"})
        run_state.write(core.uploads / f"{name}{run_state.SUFFIX}", state)
    core.make_run("torn")
    torn = core.uploads / f"torn{run_state.SUFFIX}"
    torn.write_text("{")
    core.make_run("done", "B")  # another run, of the same name
    found = core.find(mend=False)
    assert torn.exists()
    assert looks(found) == {"begun": True, "torn": True, "done": True}
    assert [d.folder for d in found.datasets if d.name == "done"] == [str(core.folder / "B/done")]
    assert found.skipped[str(core.folder / "A/done")].startswith(datasets.COMPLETED)
    caplog.clear()
    assert looks(core.find()) == looks(found)
    assert not torn.exists()
    assert f"{torn}: is damaged" in caplog.text


def test_an_old_run_is_not_begun_but_finished(core: Core) -> None:
    old = (NOW - timedelta(hours=100)).timestamp()
    for name in ("new", "begun"):
        run = core.make_run(name)
        for path in run.iterdir():
            os.utime(path, (old, old))
    core.know(core.folder / "A/begun")
    found = core.find(max_age=72)
    assert looks(found) == {"begun": True}
    assert "more than max_age (72)" in found.held[str(core.folder / "A/new")]


def test_two_transfers_never_mix_two_runs(core: Core) -> None:
    first, second = core.make_run("run_1"), core.make_run("run_1", "B")
    for transfer in (core, Core(core.folder, State())):
        found = transfer.find()
        assert [dataset.folder for dataset in found.datasets] == [str(first)]
        assert [failure.path for failure in found.failed] == [str(second)]
    second.rename(core.folder / "away")
    first.rename(core.folder / "A" / "other")  # nothing is left where it was, as on a lost disk
    (core.folder / "A" / "other").rename(core.folder / "B" / "run_1")
    found = core.find()
    assert "would go to the same place as" in found.failed[0].message

    core.make_run("another")  # it is not lost, the run was moved
    found = core.find(mend=False)
    assert [dataset.name for dataset in found.datasets] == ["another", "run_1"]
    assert looks(core.find()) == {"another": True, "run_1": True}
    (place,) = (p for p in (core.uploads / "places").iterdir() if "/B/run_1" in p.read_text())
    place.write_text("torn")
    assert looks(core.find()) == {"another": True, "run_1": True}
    assert "/B/run_1" in place.read_text()
