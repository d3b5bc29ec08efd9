"""Warnings on the terminal, one line each, with the prefix of Waybill and without secrets."""

from __future__ import annotations

import logging

from waybill.model.errors import one_line
from waybill.model.secrets import masked


class _OneLine(logging.Formatter):
    """Formats a record in one line for the terminal. A traceback is in the log of the job."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        return masked(one_line(self.formatMessage(record)))


def warn(logger: logging.Logger, prefix: str = "waybill: ") -> None:
    """Have warnings and errors of a logger printed on standard error, each after ``prefix``."""
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(_OneLine(f"{prefix}%(message)s"))
    console.addFilter(lambda record: record.name != "asyncio")  # about its internals
    logger.addHandler(console)
