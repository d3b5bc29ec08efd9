"""Errors a user can act on, and the exit codes they end in.

Exit codes, the same in every command and target:

====  =====================================================================
code  meaning
====  =====================================================================
0     everything asked for is proven done, or there was nothing to do
1     something failed; each failure is named
2     usage or configuration
3     nothing matched the selection
130   interrupted
====  =====================================================================
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from waybill.model.secrets import masked

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 2
EXIT_EMPTY = 3
EXIT_INTERRUPTED = 130

MEANINGS = {
    EXIT_OK: "everything is proven, or there was nothing to do",
    EXIT_FAILED: "something failed or is open, named",
    EXIT_CONFIG: "usage or configuration",
    EXIT_EMPTY: "nothing matched the selection",
    EXIT_INTERRUPTED: "interrupted",
}

# What to do about an error of the system, by its number.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ADVICE = {
    errno.EACCES: "give this user the permission, and run again",
    errno.EPERM: "give this user the permission, and run again",
    errno.EROFS: "the file system is read-only; mount it for writing, or choose another folder",
    errno.EMFILE: "allow more open files (`ulimit -n`), and run again",
    errno.ENFILE: "allow more open files (`ulimit -n`), and run again",
    errno.EIO: "see to the disk or the file server, and run again",
    errno.ESTALE: "see to the disk or the file server, and run again",
    errno.ENAMETOOLONG: "shorten the name, or choose a folder with a shorter path",
}


def one_line(text: str) -> str:
    """``text`` with line breaks and other characters that a terminal obeys escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe(error: OSError, folder: Path) -> str:
    """An error of the system in one line: which file, what is wrong, what to do. ``folder`` is the
    folder that was worked in, for an error that names no file."""
    where = error.filename or folder
    if error.errno in _FULL:
        why = os.strerror(error.errno or 0)
        return f"{folder}: the results folder is full ({why}); make room and run again"
    advice = _ADVICE.get(error.errno or 0)
    return f"{where}: {error.strerror or error}" + (f"; {advice}" if advice else "")


class WaybillError(Exception):
    """One clear line for the user: what failed, where, and what to do about it.

    It is printed without a traceback, and no secret in use is in it (``model.secrets``).
    ``exit_code`` is what the command ends with. ``lasting`` means that a person must do something
    first: another attempt would fail for the same reason. So it is with every mistake in the
    configuration.
    """

    def __init__(
        self, message: str, *, exit_code: int = EXIT_FAILED, lasting: bool = False
    ) -> None:
        super().__init__(masked(message))
        self.exit_code = exit_code
        self.lasting = lasting or exit_code == EXIT_CONFIG


class ConfigError(WaybillError):
    """Every mistake found in a configuration, one line each in ``problems``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems), exit_code=EXIT_CONFIG)
        self.problems = [masked(problem) for problem in problems]


class FolderError(WaybillError):
    """The folder of a dataset is not there or cannot be listed."""


class DamagedError(WaybillError):
    """A file that Waybill has written, at ``file``, is damaged; ``why`` says how."""

    def __init__(self, file: Path, why: str, *, line: int = 0) -> None:
        where = f"{file}:{line}" if line else f"{file}"
        super().__init__(f"{where}: damaged: {why}; run again, and it is made anew")
        self.file, self.why = file, why


class EntryError(WaybillError):
    """A failure of one entry (one file or object); the other entries go on."""

    def __init__(self, path: str, message: str, *, lasting: bool = False) -> None:
        super().__init__(message, lasting=lasting)
        self.path = path


class StaleHashError(EntryError):
    """A file has other bytes than its checksum table says, with the same size and mtime."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "its bytes changed since they were hashed; run again")


class ReportedError(WaybillError):
    """A failed job whose failures are recorded already, entry by entry."""


def worst(codes: Iterable[int]) -> int:
    """The exit code of several transfers: a failure outweighs a mistake, which outweighs an
    empty selection."""
    found = set(codes)
    return next((c for c in (EXIT_FAILED, EXIT_CONFIG, EXIT_EMPTY) if c in found), EXIT_OK)
