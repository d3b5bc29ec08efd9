"""Rule ``upload``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, move

one_job = snakemake.config["one_job_per_batch"]
job.run(snakemake, move.move if one_job else move.upload, name="upload")
