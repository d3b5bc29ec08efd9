"""Rule ``inventory``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill import stage, stages

stage.run(snakemake, stages.inventory, name="inventory")
