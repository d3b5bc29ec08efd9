"""Rule ``verify_batch``."""

from functools import partial

from waybill import stage, verify_stages
from waybill.verify_layout import VerifyLayout

stage.run(snakemake, verify_stages.batch, partial(VerifyLayout, run=snakemake.wildcards.run))
