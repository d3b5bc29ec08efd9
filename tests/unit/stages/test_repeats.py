"""Which jobs Snakemake does not repeat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.jobs import Job

from waybill.model.failure import Failure
from waybill.results import failures
from waybill.results.layout import Layout
from waybill.stages.repeats import give_up_lasting_failures

BATCH = "b0000000000000000"
DENIED, BUSY = Failure("a", 1, "denied", True), Failure("b", 1, "the server was busy")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """The results of the transfer ``t``. Snakemake is as before afterwards."""
    monkeypatch.setattr(Job, "restart_times", Job.restart_times)
    return Layout(tmp_path / "t")


def repeats(layout: Layout, rule: str = "upload", **names: str) -> int:
    """How often Snakemake would repeat a job that may be repeated twice."""
    names = {"results": str(layout.root.parent), "transfer": layout.root.name, **names}
    job = SimpleNamespace(rule=SimpleNamespace(name=rule, restart_times=2), wildcards_dict=names)
    return Job.restart_times.fget(job)


def record(layout: Layout, stage: str, *found: Failure) -> None:
    batch = () if stage == "inventory" else ("gut", BATCH)
    failures.write(failures.record_path(layout, stage, *batch), list(found))


@pytest.mark.parametrize(
    ("found", "times"),
    [
        ({}, 2),
        ({"upload": [DENIED]}, 0),
        ({"upload": [DENIED, BUSY]}, 2),
        ({"diff": [DENIED]}, 0),
        ({"diff": [DENIED], "upload": [BUSY]}, 2),
        ({"inventory": [DENIED]}, 2),
    ],
)
def test_a_job_is_given_up_when_all_its_failures_last(
    layout: Layout, found: dict[str, list[Failure]], times: int
) -> None:
    give_up_lasting_failures([layout])
    for stage, rows in found.items():
        record(layout, stage, *rows)
    assert repeats(layout, dataset="gut", batch=BATCH) == times


def test_the_record_of_an_earlier_run_does_not_count(layout: Layout) -> None:
    record(layout, "inventory", DENIED)
    give_up_lasting_failures([layout])
    assert repeats(layout, "inventory") == 2
    record(layout, "inventory", DENIED)
    assert repeats(layout, "inventory") == 0


def test_a_job_of_another_workflow_is_let_alone(layout: Layout) -> None:
    give_up_lasting_failures([layout])
    record(layout, "inventory", DENIED)
    assert repeats(layout, "inventory", transfer="other") == 2
    assert (
        Job.restart_times.fget(
            SimpleNamespace(rule=SimpleNamespace(name="sort", restart_times=1), wildcards_dict={})
        )
        == 1
    )
