"""Rule ``stock``."""

import sys
from functools import partial

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, verify
from waybill.verify.layout import VerifyLayout

layout = partial(VerifyLayout, run=snakemake.wildcards.run)
job.run(snakemake, verify.stock, layout, name="stock")
