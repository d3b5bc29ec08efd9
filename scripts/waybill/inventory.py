"""Inventory: both sides of a transfer, put into batches; runs at every start.

A batch's tables are rewritten only when its files changed, or when what is seen contradicts its
marker. An untouched tree therefore ends here, and drift at the destination is repaired.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from waybill import failures, journal, state
from waybill.failures import Failure
from waybill.inventory_update import Update
from waybill.layout import Layout
from waybill.presets import dataset_name
from waybill.sides import Sides, of_download, of_upload
from waybill.tables import escape, render, write_if_changed

if TYPE_CHECKING:
    from waybill.config import Transfer
    from waybill.control import Control

ASIDE_COLUMNS = ("status", "path", "size", "reason")


def run(transfer: Transfer, layout: Layout, control: Control) -> state.State:
    """Take the inventory of a transfer and return what it saw.

    Raises WaybillError when either side cannot be listed as a whole; the tables of the last
    inventory then stand as they were.
    """
    dataset = dataset_name(transfer.preset, transfer.name, transfer.hca)
    before = state.read(layout)
    now = state.State(destination=transfer.destination, source=transfer.source)
    for path in layout.journal(dataset, "-").parent.glob("*.jsonl"):
        journal.mark_listing(path, now.run)
    look = of_upload if transfer.direction == "upload" else of_download
    sides = look(transfer, layout, control.list_prefix())

    now.accelerate = control.accelerates()
    now.datasets = [dataset] if sides.paths else []
    Update(layout, dataset, before, now, transfer, control, sides).run()
    _forget_datasets(layout, {dataset})

    now.files, now.bytes = len(sides.paths), sum(sides.sizes)
    now.held, now.skipped = len(sides.held), len(sides.skipped)
    now.refused, now.only_at_destination = len(sides.refused), len(sides.only_there)
    write_if_changed(layout.aside(dataset), _render_aside(sides))
    failures.write(
        failures.record_path(layout, "inventory"),
        [Failure(path, 1, f"refused: {reason}") for path, reason in sorted(sides.refused.items())],
    )
    # what earlier runs failed at
    for stage in ("upload", "download", "manifest", "publish", "summary"):
        for record in layout.failures.glob(f"{stage}.*"):
            record.unlink(missing_ok=True)
    state.write(layout, now)
    return now


def _render_aside(sides: Sides) -> bytes:
    def lines() -> Iterator[str]:
        for path, reason in sorted(sides.refused.items()):
            yield f"!\t{escape(path)}\t\trefused: {escape(reason)}"
        for path, reason in sorted(sides.held.items()):
            yield f"!\t{escape(path)}\t\theld back: {escape(reason)}"
        for path, reason in sorted(sides.skipped.items()):
            yield f"!\t{escape(path)}\t\tskipped: {escape(reason)}"
        for path, size in sides.only_there:
            yield f"-\t{escape(path)}\t{size}\tonly at the destination"

    return render(ASIDE_COLUMNS, lines())


def _forget_datasets(layout: Layout, keep: set[str]) -> None:
    """Remove the inventory tables of datasets the transfer no longer has."""
    for folder in layout.inventory.iterdir() if layout.inventory.is_dir() else ():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)
