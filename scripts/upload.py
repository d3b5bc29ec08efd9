"""Rule ``upload``."""

from waybill import stage, stages

stage.run(snakemake, stages.upload)
