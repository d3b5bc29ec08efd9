"""Python's search for objects that hold each other, made rare: it would take a tenth of the CPU."""

from __future__ import annotations

import atexit
import gc

COLLECT_AFTER = 10_000  # new objects that may hold others; Python's own 700 is for small programs


def spare_imports() -> None:
    """What has been imported stays, so it is not searched: neither from now on, nor, with all that
    is there by then, at the end of the process, where the search takes Snakemake 0.3 seconds."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)
