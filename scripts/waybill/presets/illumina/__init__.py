"""Illumina sequencing runs: found, recognised, held back until they are finished, routed.

Nothing in this package speaks to S3 or to Snakemake.
"""

from waybill.presets.illumina.settings import PRESET

__all__ = ["PRESET"]
