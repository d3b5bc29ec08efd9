"""Rule ``report_page``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

job.run(snakemake, rules.report_page, name="report_page")
