"""Rule ``download``."""

from waybill import stage, stages

one_job = snakemake.config.get("one_job_per_batch")
stage.run(snakemake, stages.move if one_job else stages.download)
