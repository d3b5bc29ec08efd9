"""Rule ``inventory``."""

from waybill import stage, stages

stage.run(snakemake, stages.inventory)
