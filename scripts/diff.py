"""Rule ``diff``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill import stage, stage_compare

stage.run(snakemake, stage_compare.compare, name="diff")
