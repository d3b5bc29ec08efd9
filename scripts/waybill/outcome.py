"""How a run ended: the lines a user reads last, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from waybill import failures, journal, state
from waybill.errors import EXIT_CONFIG, EXIT_EMPTY, EXIT_FAILED, EXIT_OK
from waybill.failures import Failure
from waybill.inventory import FOUND
from waybill.layout import LOCAL_SUFFIX, Layout
from waybill.stages import PLAN_COLUMNS
from waybill.tables import ASIDE_COLUMNS, rows
from waybill.units import format_size

if TYPE_CHECKING:
    from waybill.config import Transfer

MOST_FAILURES = 20


def worst(codes: Iterable[int]) -> int:
    """The exit code of several transfers: a failure outweighs a mistake, which outweighs an
    empty selection."""
    found = set(codes)
    return next((c for c in (EXIT_FAILED, EXIT_CONFIG, EXIT_EMPTY) if c in found), EXIT_OK)


def conclude(transfer: Transfer, layout: Layout) -> tuple[list[str], int]:
    """The last lines about one transfer, and its exit code."""
    blind = [f for f in failures.read(layout, "inventory.tsv") if not f.path]
    if blind:  # no inventory: whatever else stands there is of another run
        return [f"FAILED {failure}" for failure in blind], worst(f.exit_code for f in blind)
    several = transfer.preset == "illumina"
    failed = _distinct(failures.read(layout, named=several))
    lines = [f"FAILED {failure}" for failure in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        lines.append(f"and {len(failed) - MOST_FAILURES} more, in {layout.failures}")
    code = worst(failure.exit_code for failure in failed)
    seen = state.read(layout)
    if not seen.run:
        return lines, code
    lines += _found(layout) if several else _aside(layout, seen)
    complete = _leave_out_unproven(layout, seen) and not failed
    if not seen.files:
        if not code and not seen.held:
            code = EXIT_EMPTY
        lines.append(f"nothing to {transfer.direction} in {transfer.source}")
        return lines, code
    lines.append(_progress(transfer, layout, seen, complete=complete))
    return lines, code


def _leave_out_unproven(layout: Layout, seen: state.State) -> bool:
    """Take out of the counts what rests without being proven, as it failed or is out of reach.
    Returns whether there is no such thing."""
    resting = [(name, place) for name, place in seen.places.items() if place.resting]
    unproven = [place for name, place in resting if not _is_proven(layout, name, place)]
    seen.files -= sum(place.files for place in unproven)
    seen.bytes -= sum(place.bytes for place in unproven)
    return not unproven


def _is_proven(layout: Layout, name: str, place: state.Place) -> bool:
    """Whether every batch of a dataset that rests has its marker."""
    batches = [
        table.name.removesuffix(LOCAL_SUFFIX)
        for table in layout.resting(name).glob(f"*{LOCAL_SUFFIX}")
    ]
    markers = [layout.marker(name, batch) for batch in batches]
    return len(batches) == place.batches and all(marker.exists() for marker in markers)


def _distinct(found: Iterable[Failure]) -> list[Failure]:
    """One failure for each entry, the first, from which the others follow; and one for what
    several batches met alike."""
    first: dict[tuple[str, str], Failure] = {}
    for failure in found:
        first.setdefault((failure.path, "" if failure.path else failure.message), failure)
    return list(first.values())


def _aside(layout: Layout, seen: state.State) -> list[str]:
    """What is in no batch, by reason."""
    tables = [layout.aside(name) for name in seen.places if seen.held or seen.skipped]
    reasons = [row[3] for table in tables if table.exists() for row in rows(table, ASIDE_COLUMNS)]
    counts = Counter(reason for reason in reasons if reason.startswith(("held back", "skipped")))
    lines = [f"{count} {reason}" for reason, count in counts.items()]
    if len(lines) > MOST_FAILURES:
        more = len(lines) - MOST_FAILURES
        lines[MOST_FAILURES:] = [f"and {more} more reasons, in {tables[0]}"]
    if seen.only_at_destination:
        lines.append(f"{seen.only_at_destination} only at the destination; nothing is deleted")
    return lines


def _found(layout: Layout) -> list[str]:
    """The runs that are not ready, each with the reason."""
    table = layout.aside(FOUND)
    reasons = [(row[1], row[3]) for row in rows(table, ASIDE_COLUMNS)] if table.exists() else []
    held = [f"{reason}: {path}" for path, reason in reasons if reason.startswith("held back")]
    more = len(held) - MOST_FAILURES
    return held[:MOST_FAILURES] + ([f"and {more} more held back, in {table}"] if more > 0 else [])


def _progress(transfer: Transfer, layout: Layout, seen: state.State, *, complete: bool) -> str:
    batches = list(layout.batches())
    open_ = [b for b in batches if not layout.marker(*b).exists()]
    size = f"{seen.files} files, {format_size(seen.bytes)}"
    moved = _moved(layout, batches, seen.run)
    what = f"; {moved[0]} moved, {format_size(moved[1])}" if moved[0] else "; nothing to move"
    if not open_:
        all_ = "all" if complete else "these are"
        return f"{size}: {all_} proven in {transfer.destination}{what}"
    if moved[0]:
        return f"{size}: {len(batches) - len(open_)} of {len(batches)} batches proven{what}"
    if layout.plan.exists():
        counts = Counter(row[2] for row in rows(layout.plan, PLAN_COLUMNS))
        return f"{size}: {counts['move']} to move, {counts['keep']} to keep; see {layout.plan}"
    return f"{size}: {len(batches) - len(open_)} of {len(batches)} batches proven"


def _moved(layout: Layout, batches: list[tuple[str, str]], run: str) -> tuple[int, int]:
    """Files and bytes that were moved in this run, told by the journals."""
    files = size = 0
    for dataset, batch in batches:
        for written, proof in journal.read([layout.journal(dataset, batch)], run).done.values():
            if written == run:
                files += 1
                size += proof.size
    return files, size
