"""The last line about a transfer claims no more than is proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.transfers import transfer_of
from waybill.model.failure import Failure
from waybill.results import closing_lines, failures, marker, state
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.results.state import Place, State


class Runs:
    """The results of a transfer of sequencing runs after an inventory, as jobs left them."""

    def __init__(self, results: Path) -> None:
        self.layout = Layout(results)
        self.state = State()

    def add(
        self, name: str, *, resting: bool, proven: tuple[bool, ...], aside: bool = False
    ) -> None:
        """A run with a batch of one file of 10 bytes for each item of ``proven``. With ``aside``
        its tables are where an earlier version put them while the run rested."""
        tables = (self.layout.set_aside if aside else self.layout.inventory) / name
        tables.mkdir(parents=True)
        for number, is_proven in enumerate(proven):
            batch = f"b{number:016x}"
            (tables / f"{batch}.local.tsv").touch()
            if is_proven:
                proof = Proof("a", f"runs/{name}/a", 10, 0, "", "e", "", "t")
                marker.write(self.layout.marker(name, batch), [proof])
        if all(proven):
            manifest = self.layout.manifest(name)
            manifest.parent.mkdir(exist_ok=True)
            manifest.touch()
        count = len(proven)
        self.state.places[name] = Place(
            f"/A/{name}", f"runs/{name}/", resting=resting, files=count, bytes=10 * count,
            batches=count,
        )  # fmt: skip

    def fail(self, name: str) -> None:
        record = failures.record_path(self.layout, "resting", name)
        failures.write(record, [Failure("a", 1, "denied")])

    def conclude(self) -> tuple[list[str], int]:
        self.state.add_up()
        state.write(self.layout, self.state)
        transfer = transfer_of(
            Path("/A"), "b", "runs/", name="runs", results=self.layout.root, preset="illumina",
            several=True,
        )  # fmt: skip
        return closing_lines.conclude(transfer, self.layout)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "results" / "runs")


@pytest.mark.parametrize("aside", [False, True])
def test_a_run_that_rests_proven_counts(runs: Runs, aside: bool) -> None:
    runs.add("run_1", resting=False, proven=(True,))
    runs.add("run_2", resting=True, proven=(True, True), aside=aside)
    proven = "3 files, 30 B: all proven in s3://b/runs/; nothing to move"
    assert runs.conclude() == ([proven], 0)


@pytest.mark.parametrize("proven", [(False,), (True, False), (False, False, False)])
def test_a_run_that_rests_as_it_failed_does_not(runs: Runs, proven: tuple[bool, ...]) -> None:
    runs.add("run_1", resting=False, proven=(True,))
    runs.add("run_2", resting=True, proven=(True, True))
    runs.add("run_3", resting=True, proven=proven)
    runs.fail("run_3")
    lines, code = runs.conclude()
    assert code == 1
    assert lines == [
        "FAILED run_3/a: denied",
        "3 files, 30 B: these are proven in s3://b/runs/; nothing to move",
    ]


def test_a_run_whose_tables_are_lost_does_not(runs: Runs) -> None:
    runs.add("run_1", resting=False, proven=(True,))
    runs.state.places["run_2"] = Place("/A/2", "runs/2/", resting=True, files=4, batches=1)
    lines, code = runs.conclude()
    assert code == 1
    assert lines == [
        "1 files, 10 B: these are proven in s3://b/runs/; nothing to move",
        "open: 1 datasets that are not looked at now are not proven; run again to go on",
    ]


def test_nothing_is_said_to_be_proven_when_all_rests_and_failed(runs: Runs) -> None:
    runs.add("run_1", resting=True, proven=(False,))
    runs.fail("run_1")
    assert runs.conclude() == (["FAILED run_1/a: denied", "nothing to upload in /A"], 1)
