"""Rule ``summary``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

job.run(snakemake, rules.summary, name="summary")
