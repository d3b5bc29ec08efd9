"""Rule ``verify_batch``."""

import sys
from functools import partial

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill import stage, verify_stages
from waybill.verify_layout import VerifyLayout

layout = partial(VerifyLayout, run=snakemake.wildcards.run)
stage.run(snakemake, verify_stages.batch, layout, name="verify_batch")
