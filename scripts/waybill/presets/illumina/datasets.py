"""The datasets of preset ``illumina``: one for each finished run that the transfer takes."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waybill.model.dataset import Dataset, Found
from waybill.model.failure import Failure
from waybill.presets.illumina import instrument, places, routing, run_state, runs, waiting
from waybill.presets.illumina.glance import glance
from waybill.results import failures, outcome
from waybill.results.layout import Layout

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.state import Place, State

log = logging.getLogger(__name__)

COMPLETED = "completed before"  # how the reason for skipping a completed run begins

# The stage of the records that keep the failures of a resting run; an inventory removes others.
RESTING = "resting"
_FORGOTTEN = ("first", "upload", "manifest", "publish", RESTING)

_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def find(transfer: Transfer, before: State, *, mend: bool = True) -> Found:
    """The runs below the folders of the transfer.

    A proven run rests for ``recheck`` hours. A run is held back when it is not ready, is too old to
    be begun, or keeps failing. A run is skipped when its samples are not for this transfer, or when
    its state file says that it was completed. Two runs that would go to one prefix are failures,
    and so is a folder that cannot be looked at. With ``mend`` False nothing is written: damaged
    state files stay where they are.
    """
    return _Search(transfer, before, mend).run()


@dataclass(slots=True)
class _Search:
    """One look at all folders of a transfer."""

    transfer: Transfer
    before: State
    mend: bool
    found: Found = field(default_factory=lambda: Found([], several=True))
    settings: Mapping[str, Any] = field(init=False)
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.settings = self.transfer.preset_settings

    def run(self) -> Found:
        folders = self.transfer.folders or (self.transfer.folder,)
        if self.settings.get("skip_check"):
            sought = runs.Found(list(folders))
        else:
            sought = runs.find(folders, self.settings.get("depth", 1))
        for path, reason in sought.problems:
            self._fail(path, reason)
        known = {place.folder: (name, place) for name, place in self.before.places.items()}
        owner: dict[str, Path] = {}  # of each prefix
        # Runs that were begun come first, so that they keep a place that another run would take.
        for run in sorted(sought.runs, key=lambda run: str(run) not in known):
            name, place = known.get(str(run), (_name(run, self.before, owner), None))
            look = self._guarded_look(run, name, place)
            if look is None and place is None:
                continue
            prefix = f"{self.transfer.prefix}{run.name}/"
            if other := owner.get(prefix) or self._owner(run, prefix):
                where = f"s3://{self.transfer.bucket}/{prefix}"
                text = f"would go to the same place as {other}: {where}"
                self._fail(run, f"{text}; give one another destination")
                continue
            owner[prefix] = run
            self.found.datasets.append(Dataset(name, str(run), prefix, bool(look)))
        self._carry_over({path for path, _ in sought.problems})
        if self.mend:
            self._forget_failures()
        return self.found

    def _owner(self, run: Path, prefix: str) -> Path | None:
        """The run of another transfer that owns this place, if any."""
        if not self.settings.get("uploads"):
            return None
        url = f"s3://{self.transfer.bucket}/{prefix}"
        return places.claim(Path(self.settings["uploads"]), url, run, take=self.mend)

    def _fail(self, path: Path, reason: str) -> None:
        self.found.failed.append(Failure(str(path), 1, reason))

    def _carry_over(self, problems: set[Path]) -> None:
        """Keep the runs in folders that cannot be looked at now, such as a disk that is not
        mounted."""
        there = {dataset.name for dataset in self.found.datasets}
        for name, place in self.before.places.items():
            folder = Path(place.folder)
            if name not in there and problems.intersection((folder, *folder.parents)):
                self.found.datasets.append(Dataset(name, place.folder, place.prefix, look=False))

    def _guarded_look(self, run: Path, name: str, place: Place | None) -> bool | None:
        try:
            return self._look(run, name, place)
        except OSError as error:
            self._fail(run, f"cannot be looked at: {error.strerror or error}")
            return None

    def _look(self, run: Path, name: str, place: Place | None) -> bool | None:
        """Whether to look at a run now; False when it rests. None when it is not taken now; the
        reason is added to ``found``."""
        settings = self.settings
        if place is not None and outcome.is_proven(self.transfer, name, place):
            # If the last look lies in the future, the clock was set back: look again.
            return not 0 <= self.now - place.looked < settings.get("recheck", 24) * 3600
        told = self._told(run)
        unknown = place is None and not self._has_results(name)
        if told and unknown and told.standing is run_state.Standing.COMPLETED:
            self.found.skipped[str(run)] = f"{COMPLETED}, says {told.file}"
            return None
        finished_at = None
        if not settings.get("skip_check"):
            state = instrument.state(
                run,
                settings.get("complete"),
                self.transfer.settle,
                self.now,
                complete_all=settings.get("complete_all", False),
                complete_timeout=settings.get("complete_timeout", 0) * 3600,
                aborted=settings.get("aborted", False),
            )
            finished_at = state.finished_at
            if state.lacks:
                log.warning("%s: taken as it is: %s", run, state.lacks)
            if state.phase is not instrument.Phase.FINISHED:
                self.found.held[str(run)] = f"{state.phase}: {state.reason}"
                return None
        decision = routing.decide(run, settings.get("sample_regex"))
        if decision.outcome is routing.Outcome.PROBLEM:
            self._fail(run, decision.reason.removeprefix(f"{run}: "))
            return None
        if decision.outcome is routing.Outcome.ELSEWHERE:
            self.found.skipped[str(run)] = decision.reason
            return None
        today = datetime.fromtimestamp(self.now, UTC)
        if told and (reason := waiting.rests(waiting.read(told.file), today)):
            self._rest(run, name, place, reason)
            return None
        begun = place is not None
        begun |= told is not None and told.standing is run_state.Standing.PARTIAL
        max_age = settings.get("max_age", 0)
        old = None if begun else waiting.too_old(run, finished_at, max_age, today)
        if old:
            self.found.held[str(run)] = old
            return None
        return True

    def _has_results(self, name: str) -> bool:
        """Whether the results have files of the run, even if the state is lost."""
        layout = Layout(self.transfer.results)
        kept = (layout.tables(name), layout.manifest(name))
        return any(path.exists() for path in kept)

    def _told(self, run: Path) -> run_state.Known | None:
        """The state file of a run; None when no folder of state files is configured."""
        if not self.settings.get("uploads"):
            return None
        uploads = Path(self.settings["uploads"])
        plain = uploads / f"{run.name}{run_state.SUFFIX}"
        seen = glance(plain)
        if seen and seen.completed and seen.run_path == str(run):
            state = run_state.RunState(run.name, seen.run_path, completed=True)
            return run_state.Known(plain, state)
        told = run_state.find(uploads, run, mend=self.mend)
        for note in told.notes:
            log.warning("%s", note)
        return told

    def _rest(self, run: Path, name: str, place: Place | None, reason: str) -> None:
        """Hold back a run that keeps failing. Its failures are kept, so that no notification says
        that it is mended, or that it failed again."""
        self.found.held[str(run)] = reason
        kept = list(dict.fromkeys(self._failures_of(name)))
        if place is None or not kept:
            self._fail(run, reason)
        elif self.mend:
            layout = Layout(self.transfer.results)
            failures.write(failures.record_path(layout, RESTING, name), kept)

    def _failures_of(self, name: str) -> Iterator[Failure]:
        layout = Layout(self.transfer.results)
        for path in sorted(layout.failures.glob(f"*.{name}[.@]*")):
            stage, dataset, _ = failures.parts_of(path.name)
            if stage in _FORGOTTEN and dataset == name:
                yield from failures.read(layout, path.name)

    def _forget_failures(self) -> None:
        """Remove the failures of runs that do not rest any more."""
        resting = {str(run) for run in self.found.held}
        names = {name for name, place in self.before.places.items() if place.folder in resting}
        for record in Layout(self.transfer.results).failures.glob(f"{RESTING}.*.tsv"):
            if record.name.removeprefix(f"{RESTING}.").removesuffix(".tsv") not in names:
                record.unlink(missing_ok=True)


def _name(run: Path, before: State, taken: dict[str, Path]) -> str:
    """The name of a run's dataset: the name of the run, or one with a digest where that name is
    taken or not allowed."""
    others = before.places.keys() | {other.name for other in taken.values()}
    if _DATASET.fullmatch(run.name) and run.name not in others:
        return run.name
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", run.name).lstrip("_.-") or "run"
    return f"{plain}-{hashlib.sha256(os.fsencode(run)).hexdigest()[:8]}"
