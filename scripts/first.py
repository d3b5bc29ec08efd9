"""Rule ``first``."""

from functools import partial

from waybill.stages import job, move

attempt = partial(move.attempt, one_job=snakemake.config["one_job_per_batch"])
job.run(snakemake, attempt, name="first")
