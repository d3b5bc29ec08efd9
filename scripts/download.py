"""Rule ``download``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill import stage, stage_move

one_job = snakemake.config["one_job_per_batch"]
stage.run(snakemake, stage_move.move if one_job else stage_move.download, name="download")
