"""Takes the inventory: looks at both sides of a transfer at every start.

The tables of a batch are rewritten only when its files changed, or when either side contradicts
the marker. So a run over an unchanged transfer ends after the inventory, and an object that was
changed or removed is sent again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from waybill.inventory import datasets
from waybill.inventory.sides import of_download, of_upload
from waybill.inventory.update import Update
from waybill.model.dataset import Dataset
from waybill.model.errors import FolderError
from waybill.model.escaping import escape
from waybill.model.failure import Failure
from waybill.model.selection import Selection
from waybill.results import audit, failures, journal, state
from waybill.results.batch_tables import ASIDE_COLUMNS
from waybill.results.layout import FOUND, Layout
from waybill.results.seals import write_if_changed
from waybill.system.tsv import render

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.s3.bucket import Bucket


def run(transfer: Transfer, layout: Layout, bucket: Bucket, start: str = "") -> state.State:
    """Take the inventory of a transfer and return its state, in which ``start`` is noted.

    Raises WaybillError when S3 cannot be listed, or the folder of the only dataset; the tables of
    the dataset concerned then stay as they were. If one of several datasets has a folder that
    cannot be listed, a failure is recorded for it and the others go on.
    """
    audited_ns = audit.tidy(layout)
    audit.rest(layout)
    _take_back(layout)
    before = state.read(layout)
    now = state.State(
        start=start,
        destination=transfer.destination,
        source=transfer.source,
        settings=f"{transfer.compare} {transfer.overwrite}",
        audited_ns=audited_ns,
    )
    found = datasets.find(transfer, before)
    failed = found.failed
    for path in layout.journals():
        journal.mark_listing(path, now.run)
    now.accelerate = bucket.accelerates()
    for dataset in found.datasets:
        known = before.places.get(dataset.name)
        if not dataset.look and known is not None:
            now.places[dataset.name] = replace(known, resting=True)
            now.inherits |= _of_dataset(dataset.name, before.inherits)
            continue
        place = now.places[dataset.name] = state.Place(dataset.folder, dataset.prefix)
        try:
            failed += _look_at(
                dataset, place, transfer, layout, bucket, before, now, several=found.several
            )
        except FolderError as error:
            if not found.several:
                raise
            failed.append(Failure(dataset.folder, error.exit_code, str(error)))
            _carry_over(dataset.name, before, now)
    failed += _gone(layout, before, now) if found.several else ()
    _forget_datasets(layout, set(now.places))
    if found.held or found.skipped or layout.aside(FOUND).exists():
        write_if_changed(
            layout, layout.aside(FOUND), _render_aside(found.held, found.skipped, {}, ())
        )
    now.held, now.skipped = len(found.held), len(found.skipped)
    now.add_up()
    failures.write(failures.record_path(layout, "inventory"), failed)
    # failures of earlier runs
    for stage in ("first", "upload", "download", "manifest", "publish", "summary"):
        for record in layout.failures.glob(f"{stage}.*"):
            record.unlink(missing_ok=True)
    if next(failures.read(layout), None):  # a summary means that nothing failed
        layout.summary.unlink(missing_ok=True)
    state.write(layout, now)
    layout.begun.unlink(missing_ok=True)
    return now


def _look_at(
    dataset: Dataset,
    place: state.Place,
    transfer: Transfer,
    layout: Layout,
    bucket: Bucket,
    before: state.State,
    now: state.State,
    *,
    several: bool,
) -> list[Failure]:
    """Look at both sides of one dataset and update its tables. Returns a failure for each entry
    that is refused or overdue."""
    transfer = transfer.for_dataset(dataset.folder, dataset.prefix)
    look = of_upload if transfer.direction == "upload" else of_download
    sides = look(transfer, layout, partial(bucket.list_prefix, transfer.prefix))
    if sides.refused and transfer.last:
        sides.hold(Selection(transfer.last).matches, "waits for what is refused")
    Update(layout, dataset.name, before, now, place, transfer, bucket, sides).run()
    place.looked = time.time()
    place.files, place.bytes = len(sides.paths), sum(sides.sizes)
    place.held, place.skipped = len(sides.held), len(sides.skipped)
    place.unmatched = sides.unmatched
    place.refused, place.only_at_destination = len(sides.refused), len(sides.only_there)
    aside = _render_aside(sides.held, sides.skipped, sides.refused, sides.only_there)
    write_if_changed(layout, layout.aside(dataset.name), aside)
    within = f"{dataset.name}/" if several else ""
    refused = [(path, f"refused: {why}") for path, why in sorted(sides.refused.items())]
    wrong = refused + sorted(sides.overdue.items())
    return [Failure(within + path, 1, why) for path, why in wrong]


def _take_back(layout: Layout) -> None:
    """Move the tables of resting datasets back, if an earlier version moved them away."""
    aside = layout.set_aside
    for tables in aside.iterdir() if aside.is_dir() else ():
        if (to := layout.inventory / tables.name).exists():
            shutil.rmtree(tables)
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        tables.rename(to)
    if aside.is_dir():
        aside.rmdir()


def _carry_over(name: str, before: state.State, now: state.State) -> None:
    """Keep what the last inventory saw of a dataset."""
    now.places[name] = before.places.get(name, now.places[name])
    now.open += [batch for batch in before.open if batch.startswith(f"{name}/")]
    now.inherits |= _of_dataset(name, before.inherits)


def _of_dataset(name: str, inherits: dict[str, list[str]]) -> dict[str, list[str]]:
    return {batch: names for batch, names in inherits.items() if batch.startswith(f"{name}/")}


def _gone(layout: Layout, before: state.State, now: state.State) -> Iterator[Failure]:
    """A failure for each dataset that no longer exists and was never proven as a whole."""
    for name in before.places.keys() - now.places.keys():
        if not layout.manifest(name).exists():
            text = "is gone before all of it was moved; what has arrived stays"
            yield Failure(before.places[name].folder, 1, text)


def _render_aside(
    held: dict[str, str],
    skipped: dict[str, str],
    refused: dict[str, str],
    only_there: Iterable[tuple[str, int]],
) -> bytes:
    def lines() -> Iterator[str]:
        for path, reason in sorted(refused.items()):
            yield f"!\t{escape(path)}\t\trefused: {escape(reason)}"
        for path, reason in sorted(held.items()):
            yield f"!\t{escape(path)}\t\theld back: {escape(reason)}"
        for path, reason in sorted(skipped.items()):
            yield f"!\t{escape(path)}\t\tskipped: {escape(reason)}"
        for path, size in only_there:
            yield f"-\t{escape(path)}\t{size}\tonly at the destination"

    return render(ASIDE_COLUMNS, lines())


def _forget_datasets(layout: Layout, keep: set[str]) -> None:
    """Remove the inventory tables of datasets the transfer no longer has."""
    folder = layout.inventory
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name not in keep:
            layout.aside(path.name).unlink(missing_ok=True)
            shutil.rmtree(path)
