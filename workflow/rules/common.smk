"""The configuration, and the wildcards of every rule."""

import sys
from pathlib import Path

# The package that belongs to this Snakefile, whatever else is installed: in a clone it is in
# `scripts`, in a wheel around it.
root = Path(workflow.basedir)
homes = [root / "scripts", root.parent]
sys.path[:0] = [str(home) for home in homes if (home / "waybill" / "run.py").is_file()]

from waybill.run import Run

runner = Run.from_snakemake(workflow, config)


wildcard_constraints:
    results=runner.results_pattern,
    transfer=runner.transfers_pattern,
    dataset="[A-Za-z0-9][A-Za-z0-9_.-]*",
    batch="[abfz][0-9a-f]{16}",
