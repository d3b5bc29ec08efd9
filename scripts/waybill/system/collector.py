"""Makes Python's search for reference cycles rare: it would take a tenth of the CPU time."""

from __future__ import annotations

import atexit
import gc

COLLECT_AFTER = 10_000  # new objects that may hold others; Python's default is 700


def spare_imports() -> None:
    """Leave out of the search what has been imported until now, because it stays. At the end of the
    process leave out all objects: that search takes 0.3 seconds in Snakemake."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)
