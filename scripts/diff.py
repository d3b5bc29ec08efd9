"""Rule ``diff``."""

from waybill import stage, stages

stage.run(snakemake, stages.compare)
