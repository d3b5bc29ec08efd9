"""Rule ``diff``."""

from waybill import stage, stage_compare

stage.run(snakemake, stage_compare.compare)
