"""Work in threads that nobody waits in: its errors are handed to whoever waits for the result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def error_of(work: Callable[[], object]) -> BaseException | None:
    """Do the work; its error, or None."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the caller hands it on
        return error
    return None


def settle(future: Future[Result], work: Callable[[], Result]) -> None:
    """Give a future what the work returns or raises."""
    if error := error_of(lambda: future.set_result(work())):
        future.set_exception(error)
