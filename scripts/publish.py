"""Rule ``publish``."""

from waybill import stage, stages

stage.run(snakemake, stages.publish)
