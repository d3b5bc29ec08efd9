"""Work in background threads: its errors are handed to the thread that waits for the result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def error_of(work: Callable[[], object]) -> BaseException | None:
    """Do the work. Returns its error, or None."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the caller hands it on
        return error
    return None


def settle(future: Future[Result], work: Callable[[], Result]) -> None:
    """Do the work, and give its result or its error to the future."""
    if error := error_of(lambda: future.set_result(work())):
        future.set_exception(error)
