"""The configuration, and the wildcards of every rule."""

import signal
import sys
from pathlib import Path

# The package that belongs to this Snakefile, whatever else is installed and also where a host
# workflow uses it as a module: in a clone it is in `scripts`, in a wheel around it.
root = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
homes = [p for p in (root / "scripts", root.parent) if (p / "waybill" / "__init__.py").is_file()]
sys.path[:0] = map(str, homes)

# Until Waybill listens to it, an interrupt ends the process without a traceback.
if homes and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from waybill.results.layout import BATCH_NAME, FIRST_BATCH_NAME
from waybill.stages.run import Run

runner = Run.from_snakemake(workflow, config)


wildcard_constraints:
    results=runner.results_pattern,
    transfer=runner.transfers_pattern,
    dataset="[A-Za-z0-9][A-Za-z0-9_.-]*",
    batch=BATCH_NAME,
    path=".+",
