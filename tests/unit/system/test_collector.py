"""What is there when a process ends is not searched once more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"

# What is registered first runs last. A list holds 1,000 that the collector knows of.
PROGRAM = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() - at_first))
from waybill.system.collector import spare_imports
spare_imports()
at_first = gc.get_freeze_count()
held = [[[]] for _ in range(1000)]
"""


def test_what_a_process_holds_at_its_end_is_spared() -> None:
    env = {**os.environ, "PYTHONPATH": os.fspath(SCRIPTS)}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) >= 1000
