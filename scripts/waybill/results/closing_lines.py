"""The lines that a user reads last about a transfer, made from its outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from waybill.model.units import format_size, hash_time
from waybill.results.layout import Layout
from waybill.results.outcome import Asked, Outcome, read

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

MOST_FAILURES = 20  # that are named
MOST_OPEN = 3  # batches that are named


def conclude(transfer: Transfer, layout: Layout, asked: Asked = Asked.ALL) -> tuple[list[str], int]:
    """The last lines about one transfer, and its exit code."""
    found = read(transfer, layout)
    return lines(found, transfer, layout, asked), found.code(asked)


def lines(found: Outcome, transfer: Transfer, layout: Layout, asked: Asked) -> list[str]:
    """What a user reads last about a transfer; nothing when nobody ever looked at it."""
    told = [f"FAILED {failure}" for failure in found.failures[:MOST_FAILURES]]
    if len(found.failures) > MOST_FAILURES:
        told.append(f"and {len(found.failures) - MOST_FAILURES} more, in {layout.failures}")
    if not found.run:
        return told
    told += found.damaged
    told += found.aside
    if not found.files and not found.batches and not found.lost:
        why = none_selected(transfer, found.unmatched)
        told.append(
            f"nothing to {transfer.direction} in {transfer.source}" + (f": {why}" if why else "")
        )
    else:
        told.append(_progress(found, transfer, layout))
    if asked is Asked.STATUS or (asked is Asked.ALL and not found.failures):
        told += _open(found)
    if asked is Asked.STATUS and found.overtaken:
        told.append("open: the last run ended before it had looked at both sides; run again")
    if asked is Asked.STATUS and found.held:
        told.append(f"open: {found.held} that wait are not moved yet; run again later")
    return told


def none_selected(transfer: Transfer, unmatched: int) -> str:
    """Why nothing is selected of a source that has ``unmatched`` files; ``""`` when it has none."""
    if not unmatched:
        return ""
    patterns = [("include", transfer.include), ("exclude", transfer.exclude)]
    told = [f"{key} = {json.dumps(p, ensure_ascii=False)}" for key, p in patterns if p]
    return f"{unmatched} files there, none matches {', '.join(told)}"


def _open(found: Outcome) -> Iterator[str]:
    """What keeps the exit code from being 0, besides failures."""
    again = "run again to go on"
    if found.open:
        names = ", ".join(found.open[:MOST_OPEN])
        more = f" and {len(found.open) - MOST_OPEN} more" if len(found.open) > MOST_OPEN else ""
        count = f"{len(found.open)} of {found.batches} batches are not proven"
        yield f"open: {count}: {names}{more}; {again}"
    if found.lost:
        yield f"open: the tables of {found.lost} batches are gone from the results; {again}"
    if found.unproven:
        yield f"open: {found.unproven} datasets that are not looked at now are not proven; {again}"
    for dataset in found.datasets:
        if not dataset.open and not dataset.listed:
            yield f"open: {dataset.name} has no manifest yet; {again}"


def _progress(found: Outcome, transfer: Transfer, layout: Layout) -> str:
    size = f"{found.files} files, {format_size(found.bytes)}"
    moved, moved_bytes = found.moved
    what = f"; {moved} moved, {format_size(moved_bytes)}" if moved else "; nothing to move"
    if not found.open and not found.lost:
        all_ = "these are" if found.unproven or found.failures else "all"
        return f"{size}: {all_} proven in {transfer.destination}{what}"
    proven = f"{found.batches - len(found.open)} of {found.batches + found.lost} batches proven"
    if moved:
        return f"{size}: {proven}{what}"
    if found.planned is not None:
        plan = found.planned
        look = f"{format_size(plan.look_bytes)}, about {hash_time(plan.look_bytes)} to hash"
        more = f", {plan.look} that only a hash could tell ({look})" if plan.look else ""
        return f"{size}: {plan.move} to move, {plan.keep} to keep{more}; see {layout.plan}"
    return f"{size}: {proven}"
