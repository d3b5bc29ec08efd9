"""The stages of a verification, one function for each rule.

They write only files that ``verify.layout`` names.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from waybill.model.errors import ReportedError
from waybill.s3.bucket import Bucket
from waybill.stages.task import Task
from waybill.system.files import write_atomic
from waybill.verify import open_findings, outcome
from waybill.verify import stock as verify_stock
from waybill.verify.layout import (
    VerifyLayout,
    read_findings,
    read_looks,
    read_state,
    write_findings,
)
from waybill.verify.look import Looker

log = logging.getLogger(__name__)


def stock(task: Task) -> None:
    """Compare both sides with what was proven, by a walk and a listing."""
    transfer, layout = task.transfer, _layout(task)
    now = verify_stock.take(transfer, layout, lambda: Bucket(transfer), datetime.now(UTC).date())
    log.info(
        "%d entries, %d bytes, held against %s; %d entries, %d bytes in the sample of %s;"
        " %d batches to look at",
        now.files, now.bytes, now.origin or "markers", now.looked, now.looked_bytes, now.day,
        now.batches,
    )  # fmt: skip


def _layout(task: Task) -> VerifyLayout:
    assert isinstance(task.layout, VerifyLayout)
    return task.layout


def batch(task: Task) -> None:
    """Take the closer look at the entries of one batch, and write the findings."""
    layout = _layout(task)
    looks = list(read_looks(layout.look(task.dataset, task.batch)))
    now = read_state(layout)
    view = task.transfer.for_dataset(*now.places[task.dataset])
    found = Looker(view, accelerate=now.accelerate).run(looks)
    write_findings(
        layout.checked(task.dataset, task.batch), ((task.dataset, finding) for finding in found)
    )


def report(task: Task) -> None:
    """Write all findings into one table, in the order of the paths, and the verdict on them. Raises
    ReportedError unless all entries agree: a host workflow has no other way to learn of it."""
    layout = _layout(task)
    tables = [layout.decided, *(layout.checked(*names) for names in layout.to_look())]
    found = [item for table in tables for item in read_findings(table)]
    found.sort(key=lambda item: (item[0], item[1].path, item[1].side))
    write_findings(layout.copy, found)
    write_findings(layout.report, found)
    open_findings.update(layout, read_state(layout), task.transfer.verify_depth, found)
    lines, code = outcome.conclude(task.transfer, layout)
    if code:
        for line in lines:
            log.info("%s", line)
        raise ReportedError(f"exit code {code}: {lines[-1]}")
    write_atomic(layout.verdict, f"{lines[-1]}\n".encode())
