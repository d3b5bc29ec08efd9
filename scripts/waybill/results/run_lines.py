"""The line that tells what a run took: its time, its mean rate, what was hashed and sent again."""

from __future__ import annotations

from waybill.model.units import format_duration, format_size
from waybill.results import history, run_progress
from waybill.results.layout import Layout
from waybill.results.outcome import Outcome
from waybill.results.run_progress import RunProgress


def lines(layout: Layout, found: Outcome | None = None) -> list[str]:
    """The line about the last run or verification of a transfer. Nothing is told of a plan, nor of
    a run that has not come to its end or has done nothing. ``found`` is its outcome, if it was
    read."""
    run = run_progress.read(layout)
    if not run.ended or run.kind == history.PLAN:
        return []
    told = [f"took {format_duration(run.time - run.begun)}"]
    if run.kind == history.VERIFY:
        if read := run.moved + run.hashed:
            told.append(f"{format_size(read)} read on both sides{_mean(run, read)}")
        return ["; ".join(told)] if len(told) > 1 else []
    if run.moved:
        told.append(f"{run.files} files moved, {format_size(run.moved)}{_mean(run, run.moved)}")
    if run.there:
        told.append(f"{format_size(run.there)} of them were there already")
    if run.hashed:
        told.append(f"{format_size(run.hashed)} hashed")
    skipped = found.files - found.moved[0] if found and found.is_whole else 0
    if skipped and run.kind == history.RUN:
        told.append(f"{skipped} files skipped, which were there")
    if run.repeats:
        told.append(f"{run.repeats} requests sent again")
    if run.kind == history.RUN and (made := _manifests(layout)):
        told.append(f"manifest: {made}")
    return ["; ".join(told)] if len(told) > 1 else []


def _mean(run: RunProgress, size: int) -> str:
    seconds = max(run.last_move - run.first_move, 0.01)  # clocks of nodes may differ
    return f" at {format_size(size / seconds)}/s"


def _manifests(layout: Layout) -> str:
    """Where the manifest is, or the folder of several."""
    found = list((layout.root / "manifests").glob("[!.]*.json"))
    return str(found[0] if len(found) == 1 else found[0].parent) if found else ""
