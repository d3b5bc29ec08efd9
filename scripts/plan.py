"""Rule ``gather_plan``."""

from waybill import stage, stages

stage.run(snakemake, stages.plan)
