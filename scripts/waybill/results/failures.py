"""Failure records: each job keeps here what failed in it, until the same job succeeds.

``failures/{stage}.{dataset}.{batch}.tsv``: ``path`` (empty when no single entry is to blame),
``exit_code``, ``message``. A job removes its own record when it starts. Records are never Snakemake
outputs, which a failed job would lose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from waybill.model.errors import DamagedError
from waybill.model.escaping import escape, unescape
from waybill.model.failure import Failure
from waybill.results.layout import BATCH_NAME, Layout
from waybill.system import tsv
from waybill.system.files import write_atomic
from waybill.system.tsv import render

_BATCH = re.compile(BATCH_NAME)
COLUMNS = ("path", "exit_code", "message")


def record_path(layout: Layout, stage: str, dataset: str = "", batch: str = "") -> Path:
    """The record of one job."""
    return layout.failures / ".".join(p for p in (stage, dataset, batch, "tsv") if p)


def parts_of(name: str) -> tuple[str, str, str]:
    """Stage, dataset and batch in the name of a record, ``""`` for what it is not about."""
    stage, *rest = name.removesuffix(".tsv").split(".")
    batch = rest.pop() if rest and _BATCH.fullmatch(rest[-1]) else ""
    return stage, ".".join(rest), batch


def write(record: Path, failures: list[Failure]) -> None:
    """Write the record of a job, or remove it when there is nothing to say."""
    if not failures:
        record.unlink(missing_ok=True)
        return
    lines = (f"{escape(f.path)}\t{f.exit_code}\t{escape(f.message)}" for f in failures)
    write_atomic(record, render(COLUMNS, lines))


def read(layout: Layout, records: str = "*.tsv", *, named: bool = False) -> Iterator[Failure]:
    """The failures of a transfer that still stand, by stage: what a checksum or a comparison met
    comes before what follows from it in an upload. With ``named`` a path begins with its
    dataset, where a transfer has several. A damaged record is a failure itself."""
    for record in sorted(layout.failures.glob(records)):
        dataset = parts_of(record.name)[1] if named else ""
        try:
            for failure in tsv.read(record, COLUMNS, _failure):
                name = failure.path
                if dataset:
                    name = f"{dataset}/{name}" if name else dataset
                yield failure._replace(path=name)
        except FileNotFoundError:  # mended meanwhile
            continue
        except DamagedError as error:
            yield Failure.of(error)


def _failure(row: list[str]) -> Failure:
    return Failure(unescape(row[0]), int(row[1]), unescape(row[2]))
