"""The state of one run: ``{log_dir}/uploads/{run}.upload.log.json``, as s3_upload writes it.

The file has exactly the eight fields of ``RunState``, indented by four. It has the plain name, as
programs that read it expect. Only if the plain name belongs to another run of the same name, from
another sequencer, the name has a digest of the run's path: ``{run}.1a2b3c4d.upload.log.json``.

A state belongs to a run when it names the present folder of the run. A relative path does not
count, because its base is unknown. A path that no longer exists does not count either, because
another run of that name would pass for uploaded. A run without a state is compared with the bucket,
and nothing is sent twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from waybill.system.files import write_atomic

SUFFIX = ".upload.log.json"


class Standing(StrEnum):
    """Whether a run was begun, and whether it is done."""

    PARTIAL = "partial"
    NEW = "new"
    COMPLETED = "completed"


@dataclass(slots=True)
class RunState:
    """The eight fields. Paths are absolute, local ones; ``uploaded_files`` maps each to its ETag,
    without quotes."""

    run_id: str
    run_path: str
    completed: bool = False
    total_local_files: int = 0
    total_uploaded_files: int = 0
    total_failed_upload: int = 0
    failed_upload_files: list[str] = field(default_factory=list)
    uploaded_files: dict[str, str] = field(default_factory=dict)


class Known(NamedTuple):
    """What is known of a run: the ``file`` of its state, which may not exist yet, and the state or
    None. ``notes`` say what was wrong with a file of that name."""

    file: Path
    state: RunState | None
    notes: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """The standing of the run. Partial runs are uploaded first."""
        if self.state is None:
            return Standing.NEW
        return Standing.COMPLETED if self.state.completed else Standing.PARTIAL


class DamagedError(ValueError):
    """A state file that cannot be used; the message says why."""


def find(uploads: Path, run: Path, *, mend: bool = True) -> Known:
    """The state of ``run`` in the folder ``uploads``.

    A damaged file gets another name, ``….corrupt-1``, so that nothing is lost and the state can be
    made anew. With ``mend`` False it is only noted. Raises OSError when a file cannot be read.
    """
    plain = uploads / f"{run.name}{SUFFIX}"
    own = uploads / f"{run.name}.{_digest(run)}{SUFFIX}"
    notes: list[str] = []
    free = True
    for file in (own, plain):
        try:
            state = read(file)
        except FileNotFoundError:
            continue
        except DamagedError as error:
            try:
                aside = f"; it is {set_aside(file).name} now" if mend else ""
            except FileNotFoundError:  # another transfer has just set it aside, and says so
                continue
            notes.append(f"{file}: {error}{aside}; the state is made anew from the bucket")
            continue
        if is_of(state, run):
            return Known(file, state, tuple(notes))
        free = free and file != plain
    return Known(plain if free else own, None, tuple(notes))


def is_of(state: RunState, run: Path) -> bool:
    """Whether a state belongs to the run in this folder."""
    known = state.run_path
    if not os.path.isabs(known):  # noqa: PTH117  the text in the file may be no path
        return False
    same = known.rstrip("/") == str(run.absolute())
    return same or os.path.realpath(known) == os.path.realpath(run)


def _digest(run: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(run))).hexdigest()[:8]


def read(file: Path) -> RunState:
    """The state in ``file``. Raises DamagedError, FileNotFoundError or another OSError."""
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"is damaged: {error}") from None
    if not isinstance(found, dict):
        raise DamagedError("is damaged: it is no table")
    known: dict[str, Any] = {f.name: found.get(f.name) for f in fields(RunState)}
    for key, value in known.items():
        if not _is_sound(key, value):
            raise DamagedError(f"is damaged: {key} is missing or no such value")
    return RunState(**known)


def _is_sound(key: str, value: Any) -> bool:
    if key == "completed":
        return isinstance(value, bool)
    if key == "failed_upload_files":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if key == "uploaded_files":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if key.startswith("total_"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str)


def set_aside(file: Path) -> Path:
    """Give a damaged file the first free name of ``….corrupt-1``, ``….corrupt-2`` and so on, and
    return that. Raises OSError."""
    number = 1
    while (aside := file.with_name(f"{file.name}.corrupt-{number}")).exists():
        number += 1
    return file.rename(aside)


def recorded(
    run: Path, local: Collection[str], uploaded: Mapping[str, str], failed: Collection[str] = ()
) -> RunState:
    """The state of a run. ``local`` are the files to upload, ``uploaded`` (with ETags) those that
    are proven to be in the bucket, and ``failed`` those that failed this time. A file that is in
    both has failed.

    Paths are relative to the run. All is counted anew: a file that no longer exists, or is excluded
    now, is in none of the numbers. A run without any file is not completed.
    """
    root = run.absolute()
    files, missed = set(local), sorted(set(failed))
    there = {p: uploaded[p].strip('"') for p in sorted(files.difference(missed)) if p in uploaded}
    return RunState(
        run_id=run.name,
        run_path=str(root),
        completed=bool(files) and not missed and len(there) == len(files),
        total_local_files=len(files),
        total_uploaded_files=len(there),
        total_failed_upload=len(missed),
        failed_upload_files=[f"{root}/{path}" for path in missed],
        uploaded_files={f"{root}/{path}": etag for path, etag in there.items()},
    )


def write(file: Path, state: RunState) -> None:
    """Write the state in one step, so that no reader sees half of it. Raises OSError."""
    write_atomic(file, json.dumps(asdict(state), indent=4).encode(), sync=True)
