"""The datasets of preset ``illumina``: one for each finished run that the transfer takes."""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waybill.datasets import Dataset, Found
from waybill.failures import Failure
from waybill.illumina import instrument, routing, run_state, runs, waiting
from waybill.layout import Layout

if TYPE_CHECKING:
    from waybill.config import Transfer
    from waybill.state import Place, State

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def find(transfer: Transfer, before: State) -> Found:
    """The runs below the folders of the transfer.

    A run that is proven rests for ``recheck`` hours. One that is not ready, or too old to be begun,
    or that failed again and again, is held back; one whose samples are not for this transfer, or
    whose state file says that it was completed, is skipped. Two runs that would go to one prefix,
    and what cannot be looked at, are failures.
    """
    settings: dict[str, Any] = transfer.illumina or {}
    folders = transfer.folders or (transfer.folder,)
    found = Found([], several=True)
    if settings.get("skip_check"):
        sought = runs.Found(list(folders))
    else:
        sought = runs.find(folders, settings.get("depth", 1))
    found.failed += [Failure(str(path), 1, reason) for path, reason in sought.problems]
    known = {place.folder: (name, place) for name, place in before.places.items()}
    # The runs that were begun first: where two would go to one place, it stays theirs.
    ordered = sorted(sought.runs, key=lambda run: str(run) not in known)
    owner: dict[str, Path] = {}
    for run in ordered:
        name, place = known.get(str(run), (_name(run, before, owner), None))
        prefix = f"{transfer.prefix}{run.name}/"
        try:
            look = _look(run, name, place, transfer, found)
        except OSError as error:
            found.failed.append(Failure(str(run), 1, f"cannot be looked at: {error.strerror}"))
            look = None
        if look is None and place is None:
            continue
        if prefix in owner:
            text = f"would go to the same place as {owner[prefix]}: s3://{transfer.bucket}/{prefix}"
            found.failed.append(Failure(str(run), 1, f"{text}; give one another destination"))
            continue
        owner[prefix] = run
        found.datasets.append(Dataset(name, str(run), prefix, bool(look)))
    return found


def _name(run: Path, before: State, taken: dict[str, Path]) -> str:
    """The name of a run's dataset; with a digest where its own name is taken or is no such name."""
    others = before.places.keys() | {other.name for other in taken.values()}
    if _DATASET.fullmatch(run.name) and run.name not in others:
        return run.name
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", run.name).lstrip("_.-") or "run"
    return f"{plain}-{hashlib.sha256(os.fsencode(run)).hexdigest()[:8]}"


def _look(
    run: Path, name: str, place: Place | None, transfer: Transfer, found: Found
) -> bool | None:
    """Whether to look at a run now (False: it rests), or None when it is not taken now, for the
    reason that ``found`` gets."""
    settings: dict[str, Any] = transfer.illumina or {}
    now = time.time()
    if place is not None and _is_proven(name, place, transfer):
        return now - place.looked >= settings.get("recheck", 24) * 3600
    finished_at = None
    if not settings.get("skip_check"):
        state = instrument.state(run, settings.get("complete"), transfer.settle, now)
        finished_at = state.finished_at
        if state.phase is not instrument.Phase.FINISHED:
            found.held[str(run)] = f"{state.phase}: {state.reason}"
            return None
    decision = routing.decide(run, settings.get("sample_regex"))
    if decision.outcome is routing.Outcome.PROBLEM:
        found.failed.append(Failure(str(run), 1, decision.reason))
        return None
    if decision.outcome is routing.Outcome.ELSEWHERE:
        found.skipped[str(run)] = decision.reason
        return None
    today = datetime.fromtimestamp(now, UTC)
    if uploads := settings.get("uploads"):
        told = run_state.find(Path(uploads), run)
        if place is None and told.standing is run_state.Standing.COMPLETED:
            found.skipped[str(run)] = f"completed before, says {told.file}"
            return None
        if reason := waiting.rests(waiting.read(told.file), today):
            found.failed.append(Failure(str(run), 1, reason))
            return None
        begun = place is not None or told.standing is run_state.Standing.PARTIAL
    else:
        begun = place is not None
    old = None if begun else waiting.too_old(run, finished_at, settings.get("max_age", 0), today)
    if old:
        found.held[str(run)] = old
        return None
    return True


def _is_proven(name: str, place: Place, transfer: Transfer) -> bool:
    """Whether all of the run was moved, and its manifest is where it belongs."""
    if place.refused or place.held:
        return False
    layout = Layout(transfer.results)
    last = layout.publication(name) if transfer.publishes else layout.manifest(name)
    tables = [p for p in (layout.inventory / name, layout.resting(name)) if p.exists()]
    markers = [
        layout.marker(name, table.name.removesuffix(".local.tsv"))
        for folder in tables
        for table in folder.glob("*.local.tsv")
    ]
    return last.exists() and bool(markers) and all(marker.exists() for marker in markers)
