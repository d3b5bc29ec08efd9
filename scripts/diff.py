"""Rule ``diff``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import compare, job

job.run(snakemake, compare.compare, name="diff")
