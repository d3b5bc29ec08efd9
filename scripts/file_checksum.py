"""Rule ``file_checksum``."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

cut = partial(rules.file_checksum, table=Path(snakemake.input[0]))
job.run(snakemake, cut, name="file_checksum")
