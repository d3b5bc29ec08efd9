"""Rule ``gather_plan``."""

import sys
from functools import partial

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

stage = partial(rules.plan, compared=bool(snakemake.params.compared))
job.run(snakemake, stage, name="gather_plan")
