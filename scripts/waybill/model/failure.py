"""Failures: what did not move, and why."""

from __future__ import annotations

from typing import NamedTuple

from waybill.model.errors import EntryError, WaybillError, one_line
from waybill.model.escaping import escape


class Failure(NamedTuple):
    """One failure: the entry's path or ``""``, the exit code it asks for, the line to print, and
    whether another attempt would fail for the same reason (``WaybillError.lasting``)."""

    path: str
    exit_code: int
    message: str
    lasting: bool = False

    @classmethod
    def of(cls, error: WaybillError) -> Failure:
        path = error.path if isinstance(error, EntryError) else ""
        return cls(path, error.exit_code, str(error), error.lasting)

    def __str__(self) -> str:
        return one_line(f"{escape(self.path)}: {self.message}" if self.path else self.message)
