"""Failure records: the failures of a job, kept until the same job succeeds.

``failures/{stage}.{dataset}@{batch}.tsv``: ``path`` (empty when the failure is not of one entry),
``exit_code``, ``message`` and ``lasting`` (``yes`` when another attempt would fail for the same
reason, otherwise empty). A job removes its own record when it starts. Records are never Snakemake
outputs, because Snakemake removes the outputs of a failed job. Earlier versions wrote a dot in the
place of ``@``, and no ``lasting``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from waybill.model.errors import DamagedError
from waybill.model.escaping import escape, unescape
from waybill.model.failure import Failure
from waybill.results.layout import FORMER_BATCH_NAME, Layout
from waybill.system import tsv
from waybill.system.files import write_atomic
from waybill.system.tsv import render

_FORMER_BATCH = re.compile(FORMER_BATCH_NAME)
COLUMNS = ("path", "exit_code", "message", "lasting")
_ADDED = 1  # columns since the first version


def record_path(layout: Layout, stage: str, dataset: str = "", batch: str = "") -> Path:
    """The record of one job."""
    about = f"{dataset}@{batch}" if batch else dataset
    return layout.failures / ".".join(p for p in (stage, about, "tsv") if p)


def parts_of(name: str) -> tuple[str, str, str]:
    """Stage, dataset and batch in the file name of a record; ``""`` for a part it does not have."""
    stage, _, rest = name.removesuffix(".tsv").partition(".")
    dataset, _, batch = rest.partition("@")
    before, _, last = dataset.rpartition(".")
    if not batch and _FORMER_BATCH.fullmatch(last):
        return stage, before, last
    return stage, dataset, batch


def write(record: Path, failures: list[Failure]) -> None:
    """Write the record of a job, or remove it when nothing failed."""
    if not failures:
        record.unlink(missing_ok=True)
        return
    lines = (
        f"{escape(f.path)}\t{f.exit_code}\t{escape(f.message)}\t{'yes' if f.lasting else ''}"
        for f in failures
    )
    write_atomic(record, render(COLUMNS, lines))


def read(layout: Layout, records: str = "*.tsv", *, named: bool = False) -> Iterator[Failure]:
    """The failures in the records whose names match the glob ``records``.

    They are sorted by stage: a failed checksum or comparison comes before the failed upload that
    follows from it. With ``named`` each path begins with its dataset, for transfers with several.
    A damaged record is returned as a failure.
    """
    for record in sorted(layout.failures.glob(records)):
        dataset = parts_of(record.name)[1] if named else ""
        try:
            for failure in tsv.read(record, COLUMNS, _failure, added=_ADDED):
                name = failure.path
                if dataset:
                    name = f"{dataset}/{name}" if name else dataset
                yield failure._replace(path=name)
        except FileNotFoundError:  # its job has removed it meanwhile
            continue
        except DamagedError as error:
            yield Failure.of(error)


def _failure(row: list[str]) -> Failure:
    return Failure(unescape(row[0]), int(row[1]), unescape(row[2]), row[3:] == ["yes"])
