"""Rule ``inventory``."""

import sys
from functools import partial

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

job.run(snakemake, partial(rules.inventory, start=snakemake.params.start), name="inventory")
