"""The commands: each builds a configuration and runs the same Snakefile.

Such a command is called a door. It runs the Snakefile twice with one ``start`` token: target
``plan``, to show what would be done and to ask, then the default target. The second run uses the
inventory of the first, so exactly what was confirmed is moved.
"""

from __future__ import annotations

import atexit
import signal
import sys
from types import TracebackType


def _interrupted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one line, and no traceback, for an interrupt while a command is being imported."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        _before(kind, error, trace)


def _end_on_interrupt() -> None:
    """Have an interrupt at the end of the process end it without a message."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_before, sys.excepthook = sys.excepthook, _interrupted
atexit.register(_end_on_interrupt)
