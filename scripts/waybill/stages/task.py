"""The task of a job: its transfer, dataset and batch, handed to the function of its rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from waybill.model.transfer import Transfer
from waybill.results import failures, seals, state
from waybill.results.layout import Layout


@dataclass(frozen=True, slots=True)
class Task:
    """One job: the transfer, its layout, and the dataset, the batch or the path of the file that it
    is about (empty where there is none)."""

    transfer: Transfer
    layout: Layout
    stage: str
    dataset: str = ""
    batch: str = ""
    path: str = ""

    @property
    def failure_record(self) -> Path:
        return failures.record_path(self.layout, self.stage, self.dataset, self.batch)

    def write(self, path: Path, data: bytes | Iterable[bytes], *, sync: bool = False) -> None:
        """Write a file of the results and seal it (``results.seals``)."""
        seals.write(self.layout, path, data, sync=sync)

    def inherited(self) -> list[str]:
        """The batches that held entries of this batch before."""
        return state.read(self.layout).inherits.get(f"{self.dataset}/{self.batch}", [])

    def of_stage(self, stage: str) -> Task:
        """The same batch in another stage."""
        return replace(self, stage=stage)
