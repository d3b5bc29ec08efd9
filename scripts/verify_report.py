"""Rule ``verify_report``."""

from functools import partial

from waybill import stage, verify_stages
from waybill.verify_layout import VerifyLayout

stage.run(snakemake, verify_stages.report, partial(VerifyLayout, run=snakemake.wildcards.run))
