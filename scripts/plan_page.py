"""Rule ``plan_page``."""

from waybill import stage, stages

stage.run(snakemake, stages.plan_page)
