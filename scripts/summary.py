"""Rule ``summary``."""

from waybill import stage, stages

stage.run(snakemake, stages.summary)
