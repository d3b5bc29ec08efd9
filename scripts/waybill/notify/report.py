"""The report on a transfer in this run, read from its results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from waybill.model.errors import EXIT_FAILED, one_line
from waybill.model.escaping import escape
from waybill.presets import registry
from waybill.results import outcome
from waybill.results.layout import Layout

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

LOST_JOB = "not finished, and no job left a record of why; see the logs"


class Failed(NamedTuple):
    """One failure; ``dataset`` and ``path`` are ``""`` when it is not of a single one."""

    stage: str
    dataset: str
    path: str
    message: str

    @property
    def text(self) -> str:
        """The failure in one line, its name written as in the tables."""
        return one_line(f"{escape(self.path)}: {self.message}" if self.path else self.message)


class Dataset(NamedTuple):
    """What was moved of one dataset, in files and bytes, and whether all of it is proven now."""

    name: str
    moved_files: int
    moved_bytes: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The report on one transfer. ``files`` and ``bytes`` are those of its selection."""

    transfer: str
    preset: str
    direction: str
    source: str
    destination: str
    results: str
    files: int = 0
    bytes: int = 0
    exit_code: int = 0
    datasets: tuple[Dataset, ...] = ()
    failures: tuple[Failed, ...] = ()

    @property
    def moved_files(self) -> int:
        return sum(dataset.moved_files for dataset in self.datasets)

    @property
    def moved_bytes(self) -> int:
        return sum(dataset.moved_bytes for dataset in self.datasets)

    @property
    def finished(self) -> tuple[Dataset, ...]:
        """The datasets that have moved files, are complete now and have no failure. Without
        datasets of its own, a transfer with any failure has none."""
        failed = {failure.dataset for failure in self.failures}
        if self.unit == "transfer" and failed:
            return ()
        return tuple(
            d for d in self.datasets if d.complete and d.moved_files and d.name not in failed
        )

    @property
    def unit(self) -> str:
        """What is counted in a message: runs, datasets, or the transfer itself."""
        if finder := registry.get(self.preset).finder:
            return finder.unit
        return "dataset" if len(self.datasets) > 1 else "transfer"


def report(transfer: Transfer, exit_code: int) -> Report:
    """The report on ``transfer``, which ended with ``exit_code`` in this run.

    Raises WaybillError or OSError when its results cannot be read.
    """
    found = outcome.read(transfer, Layout(transfer.results))
    return Report(
        transfer=transfer.name,
        preset=transfer.preset,
        direction=transfer.direction,
        source=transfer.source,
        destination=transfer.destination,
        results=str(transfer.results.absolute()),
        files=found.files,
        bytes=found.bytes,
        exit_code=exit_code,
        datasets=tuple(
            Dataset(d.name, d.moved_files, d.moved_bytes, d.complete) for d in found.datasets
        ),
        failures=tuple(_told_once(found.failures)),
    )


def is_blind(failed: tuple[Failed, ...]) -> bool:
    """Whether an inventory could not be taken at all."""
    return any(f.stage == "inventory" and not f.path for f in failed)


def with_lost_jobs(reports: list[Report], *, code: int, success: bool) -> list[Report]:
    """The reports. A failure is added to those that are not complete and have no failure: their job
    was killed before it could write a record."""
    if success:
        return reports
    lost = Failed("", "", "", LOST_JOB)
    quiet = [r for r in reports if not r.failures and not all(d.complete for d in r.datasets)]
    if not quiet and code and not any(r.failures for r in reports):
        quiet = [r for r in reports if r.exit_code in (0, EXIT_FAILED)]
    return [
        replace(r, failures=(lost,), exit_code=code or EXIT_FAILED) if r in quiet else r
        for r in reports
    ]


def _told_once(found: Iterable[outcome.Failed]) -> Iterator[Failed]:
    """The failures. A message without a path that several datasets have is given once."""
    messages = set()
    for failure in found:
        if failure.path or failure.message not in messages:
            yield Failed(failure.stage, failure.dataset, failure.path, failure.message)
        if not failure.path:
            messages.add(failure.message)
