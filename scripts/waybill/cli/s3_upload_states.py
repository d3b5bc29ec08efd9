"""Keeps up with a run of the workflow: the line about how far it is, and the state files."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from waybill import state
from waybill.cli.progress import on_the_way
from waybill.cli.s3_upload_runs import RunFiles, of_transfer
from waybill.illumina import run_state
from waybill.illumina.glance import glance
from waybill.illumina.run_state import RunState
from waybill.layout import Layout

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_SHARE = 20  # writing takes at most one part of so many of the time


class Watch:
    """The runs that are being uploaded, of several transfers; known after their inventory."""

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self._layouts = layouts
        self._before = {name: state.read(layout).run for name, layout in layouts.items()}
        self.runs: dict[str, list[RunFiles]] = {}
        self._begun: tuple[float, int] | None = None

    def look(self) -> None:
        """Learn what has been written since."""
        for name, layout in self._layouts.items():
            if name not in self.runs:
                found = of_transfer(layout, self._before[name])
                if found is not None:
                    self.runs[name] = found
        for run in self.all():
            run.update()

    def all(self) -> list[RunFiles]:
        """The runs of all transfers."""
        return [run for runs in self.runs.values() for run in runs]

    def by_folder(self) -> dict[Path, list[RunFiles]]:
        """The runs, each with all ways it goes."""
        found: dict[Path, list[RunFiles]] = {}
        for run in self.all():
            found.setdefault(run.folder, []).append(run)
        return found

    def text(self) -> str:
        """One line about how far it is."""
        if len(self.runs) < len(self._layouts):
            return "Looking at the runs ..."
        runs = self.all()
        files = sum(run.count for run in runs), sum(len(run.local) for run in runs)
        size = sum(run.arrived_bytes for run in runs), sum(run.bytes for run in runs)
        if files[0] == files[1]:
            return "Seeing to the manifests ..." if runs else "Nothing to upload ..."
        if self._begun is None:
            self._begun = time.monotonic(), size[0]
        begun, before = self._begun
        seconds = time.monotonic() - begun
        return on_the_way("Uploading", files, size, sent=size[0] - before, seconds=seconds)


@dataclass(slots=True)
class StateFiles:
    """The state files in ``{log_dir}/uploads``, which follow the runs as files finish."""

    uploads: Path
    _files: dict[Path, Path] = field(default_factory=dict)
    _last: dict[Path, RunState] = field(default_factory=dict)
    _due: float = 0.0

    def follow(self, groups: Mapping[Path, list[RunFiles]]) -> None:
        """Write what has changed, unless that was done a moment ago. No run is completed yet."""
        begun = time.monotonic()
        if begun < self._due:
            return
        for folder, ways in groups.items():
            found = _state(folder, ways, {p for way in ways for p in way.refused})
            found.completed = False
            self.write(folder, found)
        took = time.monotonic() - begun
        self._due = begun + max(_PAUSE_SECONDS, took * _SHARE)

    def conclude(self, folder: Path, ways: list[RunFiles], *, proven: bool, lost: bool) -> None:
        """Write what became of a run; ``lost`` when what is missing failed without a word."""
        failed = {path for way in ways for path in way.failed()}
        found = _state(folder, ways, failed)
        if lost:
            missing = _files_of(ways) - {p for way in ways for p in way.held}
            found = _state(folder, ways, failed | (missing - _in_all(ways).keys()))
        found.completed = found.completed and proven
        self.write(folder, found)

    def write(self, folder: Path, found: RunState) -> None:
        """Write one state unless it stands there already; a run without files has none."""
        if found.total_local_files and self._last.get(folder) != found:
            run_state.write(self.file(folder), found)
            self._last[folder] = found

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
        seen = glance(self.uploads / f"{folder.name}{run_state.SUFFIX}")
        if seen and seen.run_path == str(folder):
            return seen.completed
        known = run_state.find(self.uploads, folder)
        return known.standing is run_state.Standing.COMPLETED


def _state(folder: Path, ways: list[RunFiles], failed: Iterable[str]) -> RunState:
    return run_state.recorded(folder, _files_of(ways), _in_all(ways), set(failed))


def _files_of(ways: list[RunFiles]) -> set[str]:
    """All that is to be uploaded, what cannot be and what waits too."""
    return {path for way in ways for path in (*way.local, *way.refused, *way.held)}


def _in_all(ways: list[RunFiles]) -> dict[str, str]:
    """What has arrived wherever it goes, with the ETag at the first place."""
    arrived = [way.uploaded for way in ways]
    found = {path: etag for uploaded in reversed(arrived) for path, etag in uploaded.items()}
    for way, uploaded in zip(ways, arrived, strict=True):
        for path in way.local - uploaded.keys():
            found.pop(path, None)
    return found
