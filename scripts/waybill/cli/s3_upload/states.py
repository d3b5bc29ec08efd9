"""Follows a run of the workflow: the progress line, and the state files."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from waybill.cli.arrivals import Arrivals, of_transfer
from waybill.cli.terminal import visible
from waybill.model.verbs import UPLOAD
from waybill.presets.illumina import run_state
from waybill.presets.illumina.glance import glance
from waybill.presets.illumina.run_state import RunState
from waybill.results import state
from waybill.results.forecast import Forecast, Progress
from waybill.results.layout import Layout

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_SHARE = 20  # writing takes at most this fraction, 1/20, of the time


class Watch:
    """The runs that are being uploaded, of several transfers; known after their inventory."""

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self._layouts = layouts
        self._before = {name: state.read(layout).run for name, layout in layouts.items()}
        self.runs: dict[str, list[Arrivals]] = {}
        self._forecast = Forecast(layouts.values(), UPLOAD.doing, since=time.time())

    def look(self) -> None:
        """Read what jobs have written since the last call."""
        for name, layout in self._layouts.items():
            if name not in self.runs:
                found = of_transfer(layout, self._before[name])
                if found is not None:
                    self.runs[name] = found
        for run in self.all():
            run.update()

    def all(self) -> list[Arrivals]:
        """The runs of all transfers."""
        return [run for runs in self.runs.values() for run in runs]

    def by_folder(self) -> dict[Path, list[Arrivals]]:
        """The runs by folder, each with all its uploads: several transfers may take one run."""
        found: dict[Path, list[Arrivals]] = {}
        for run in self.all():
            found.setdefault(run.folder, []).append(run)
        return found

    def progress(self) -> Progress:
        """How far the uploads are."""
        return self._forecast.look()


@dataclass(slots=True)
class StateFiles:
    """The state files in ``{log_dir}/uploads``, which follow the runs as files finish."""

    uploads: Path
    _files: dict[Path, Path] = field(default_factory=dict)
    _counts: dict[Path, list[int]] = field(default_factory=dict)
    _due: float = 0.0

    def follow(self, groups: Mapping[Path, list[Arrivals]]) -> None:
        """Write the states that have changed, but not too often. No run is completed yet."""
        begun = time.monotonic()
        if begun < self._due:
            return
        for folder, ways in groups.items():
            counts = [way.count for way in ways]
            if counts != self._counts.get(folder):
                found = _state(folder, ways, {p for way in ways for p in way.refused})
                found.completed = False
                self._write(folder, found)
                self._counts[folder] = counts
        took = time.monotonic() - begun
        self._due = begun + max(_PAUSE_SECONDS, took * _SHARE)

    def conclude(self, folder: Path, ways: list[Arrivals], *, proven: bool, lost: bool) -> None:
        """Write the final state of a run. ``lost`` means that a job failed without a record, so all
        files that are missing have failed."""
        failed = {path for way in ways for path in way.failed()}
        if lost:
            for way in ways:
                failed |= way.paths() - way.held - way.uploaded().keys()
        found = _state(folder, ways, failed)
        found.completed = found.completed and proven
        self._write(folder, found)

    def _write(self, folder: Path, found: RunState) -> None:
        """Write a state; a run without files has none."""
        if found.total_local_files:
            run_state.write(self.file(folder), found)

    def file(self, folder: Path) -> Path:
        """The state file of a run."""
        if folder not in self._files:
            known = run_state.find(self.uploads, folder)
            for note in known.notes:
                log.warning("%s", note)
            self._files[folder] = known.file
        return self._files[folder]

    def tells_completed(self, folder: Path) -> bool:
        """Whether the state file says that the run is completed."""
        try:
            seen = glance(self.uploads / f"{folder.name}{run_state.SUFFIX}")
            if seen and seen.run_path == str(folder):
                return seen.completed
            known = run_state.find(self.uploads, folder)
        except OSError as error:
            log.warning("%s: %s", visible(str(error.filename)), error.strerror)
            return True
        return known.standing is run_state.Standing.COMPLETED


def _state(folder: Path, ways: list[Arrivals], failed: set[str]) -> RunState:
    paths = [way.paths() for way in ways]
    uploaded = [way.uploaded() for way in ways]
    # The files that have arrived at all destinations, with the ETag at the first one.
    there = {path: etag for etags in reversed(uploaded) for path, etag in etags.items()}
    for own, etags in zip(paths, uploaded, strict=True):
        for path in own - etags.keys():
            there.pop(path, None)
    return run_state.recorded(folder, set().union(*paths), there, failed)
