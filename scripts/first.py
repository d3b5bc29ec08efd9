"""Rule ``first``."""

from functools import partial

from waybill import stage, stage_move

attempt = partial(stage_move.attempt, one_job=snakemake.config["one_job_per_batch"])
stage.run(snakemake, attempt, name="first")
