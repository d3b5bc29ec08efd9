"""Rule ``plan_page``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

job.run(snakemake, rules.plan_page, name="plan_page")
