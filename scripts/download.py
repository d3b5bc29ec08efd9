"""Rule ``download``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, move

job.run(snakemake, move.run, name="download")
