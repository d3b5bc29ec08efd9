"""``waybill status``: how the last run left each transfer, and whether all of its source is proven.

S3 is not asked: ``waybill verify`` does that, and its open findings count here. The source of an
upload is walked, because a file that no run has seen has no proof.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from waybill.inventory import datasets
from waybill.inventory.sides import of_upload
from waybill.model.entries import LocalEntry
from waybill.model.errors import EXIT_FAILED, EXIT_OK, FolderError, WaybillError
from waybill.model.escaping import escape
from waybill.results import closing_lines, outcome, state
from waybill.results.batch_tables import read_local
from waybill.results.layout import LOCAL_SUFFIX, Layout
from waybill.results.outcome import Asked
from waybill.system.locks import Lock, holder, try_lock
from waybill.verify import open_findings
from waybill.verify.layout import VerifyLayout

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

MOST_NAMED = 3

_HOLDER = re.compile(r"process (\d+) on (\S+)")


def standing(transfer: Transfer, layout: Layout) -> tuple[list[str], int]:
    """The lines about a transfer, and its exit code. The code is 0 only when all selected files of
    the source are proven, and no run is at work."""
    found = outcome.read(transfer, layout, closely=True)
    lines = closing_lines.lines(found, transfer, layout, Asked.STATUS) or ["no run yet"]
    code = found.code(Asked.STATUS)
    if transfer.direction == "upload" and code == EXIT_OK:
        unseen = list(_unseen(transfer, layout))
        if unseen:
            lines.append(
                f"open: {len(unseen)} files are new or changed since the last run:"
                f" {_named(unseen)}; run again"
            )
            code = EXIT_FAILED
    verified = VerifyLayout(layout.root)
    if doubted := [one.finding for one in open_findings.doubted(verified)]:
        code = EXIT_FAILED
        lines += (f"open: {one.reason}" for one in doubted if not one.path)
        paths = list(dict.fromkeys(one.path for one in doubted if one.path))
        count = f"{len(paths)} files are not as they were proven, says a verification"
        again = f"see {verified.open_findings}, run again and verify again"
        lines += [f"open: {count}: {_named(paths)}; {again}"] if paths else []
    if name := at_work(layout):
        lines.append(f"open: a run is at work here ({name}); wait until it has ended")
        code = EXIT_FAILED
    return lines, code


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(escape(path) for path in paths[:MOST_NAMED]) + more


def at_work(layout: Layout) -> str:
    """Who holds the lock of a transfer's results, or ``""`` when nobody does.

    The lock is not tried when its last holder has ended: a run that begins at this moment would
    find it taken.
    """
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        name = holder(descriptor)
        if _has_ended(name) or try_lock(descriptor, shared=True) is not Lock.BUSY:
            return ""
        return name or "which has no name in its lock"
    finally:
        os.close(descriptor)


def _has_ended(holder: str) -> bool:
    match = _HOLDER.fullmatch(holder)
    if match is None or match[2] != os.uname().nodename:
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _unseen(transfer: Transfer, layout: Layout) -> Iterator[str]:
    """The files of the source that differ from the last inventory, and the datasets that it did not
    see. A source that no longer exists has none."""
    seen = state.read(layout)
    several = transfer.several
    if several:
        found = datasets.find(transfer, seen, mend=False)
        yield from (d.folder for d in found.datasets if d.look and d.name not in seen.places)
        yield from found.held
        yield from (failure.path for failure in found.failed)
    for name, place in seen.places.items():
        view = transfer.for_dataset(place.folder, place.prefix)
        try:
            sides = of_upload(view, layout, lambda _known: ())
        except FolderError:
            if Path(place.folder).exists():
                raise
            continue
        known = _known(layout, name)
        within = f"{name}/" if several else ""
        for path, entry in sides.local.items():
            if known.get(path) != entry and path not in sides.skipped:
                yield within + path
        for path in (*sides.held, *sides.refused):
            if path not in sides.local:
                yield within + path


def _known(layout: Layout, dataset: str) -> dict[str, LocalEntry]:
    """The files of a dataset by path, as the last inventory saw them."""
    tables = layout.tables(dataset).glob(f"*{LOCAL_SUFFIX}")
    return {entry.path: entry for table in tables for entry in read_local(table)}


def total(transfers: dict[str, Transfer]) -> Iterator[tuple[str, list[str], int]]:
    """Each transfer with the lines about it, and its exit code."""
    for name, transfer in transfers.items():
        try:
            lines, code = standing(transfer, Layout(transfer.results))
        except WaybillError as error:
            lines, code = [f"open: {error}"], EXIT_FAILED
        except OSError as error:
            where = error.filename or transfer.results
            lines, code = [f"open: {where}: {error.strerror or error}"], EXIT_FAILED
        yield name, lines, code
