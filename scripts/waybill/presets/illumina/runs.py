"""Which folders are sequencing runs: those with a ``RunInfo.xml``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

RUN_INFO = "RunInfo.xml"


class Problem(NamedTuple):
    """A folder that could not be looked at, and why."""

    path: Path
    reason: str


@dataclass(slots=True)
class Found:
    """``runs`` in the order of the folders they were found in, then by path."""

    runs: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def find(folders: Iterable[str | Path], depth: int = 1) -> Found:
    """The runs in ``folders``, at most ``depth`` levels below each: 1 finds ``RUN``, 2 also
    ``2024/RUN``. A folder that is itself a run is one.

    Nothing is looked for inside a run, nor in folders that begin with a dot: a file system keeps
    its snapshots there. A run that is reached by two paths is found once. A folder that cannot be
    looked at is a problem, and the search goes on.
    """
    found = Found()
    seen: set[tuple[int, int]] = set()
    for folder in dict.fromkeys(os.fspath(folder) for folder in folders):
        try:
            if not stat.S_ISDIR(os.stat(folder).st_mode):  # noqa: PTH116  the folders may be many
                raise NotADirectoryError
        except FileNotFoundError:
            text = "does not exist; make it or mount it, or take it out of the configuration"
        except NotADirectoryError:
            text = "is not a folder; name the folder that the runs are in"
        except OSError as error:
            text = _cannot("look at", error)
        else:
            _look(folder, depth, found, seen)
            continue
        found.problems.append(Problem(Path(folder), text))
    return found


def _look(folder: str, depth: int, found: Found, seen: set[tuple[int, int]]) -> None:
    try:
        if _is_run(folder):
            status = os.stat(folder)  # noqa: PTH116
            identity = (status.st_dev, status.st_ino)
            if identity not in seen:
                seen.add(identity)
                found.runs.append(Path(folder))
            return
        if depth < 1:
            return
        with os.scandir(folder) as scan:
            names = sorted(item.name for item in scan if _may_hold_runs(item, found))
    except FileNotFoundError:  # went away meanwhile
        return
    except OSError as error:
        found.problems.append(Problem(Path(folder), _cannot("list", error)))
        return
    for name in names:
        _look(os.path.join(folder, name), depth - 1, found, seen)  # noqa: PTH118


def _is_run(folder: str) -> bool:
    try:
        status = os.stat(os.path.join(folder, RUN_INFO))  # noqa: PTH116, PTH118
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode)


def _may_hold_runs(item: os.DirEntry[str], found: Found) -> bool:
    try:
        return not item.name.startswith(".") and item.is_dir()
    except OSError as error:
        found.problems.append(Problem(Path(item.path), _cannot("look at", error)))
        return False


def _cannot(what: str, error: OSError) -> str:
    advice = "; give read permission" if isinstance(error, PermissionError) else ""
    return f"cannot {what} the folder: {error.strerror or error}{advice}"
