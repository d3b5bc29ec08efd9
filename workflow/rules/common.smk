"""The configuration, and the wildcards of every rule."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from waybill.run import Run

runner = Run.from_snakemake(workflow, config)


wildcard_constraints:
    results=runner.results_pattern,
    transfer=runner.transfers_pattern,
    dataset="[A-Za-z0-9][A-Za-z0-9_.-]*",
    batch="[abfz][0-9a-f]{16}",
