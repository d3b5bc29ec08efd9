"""Rule ``manifest``."""

from waybill import stage, stages

stage.run(snakemake, stages.manifest)
