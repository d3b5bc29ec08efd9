"""Illumina sequencing runs: found, recognised, held back until they are finished, routed.

Nothing in this package speaks to S3 or to Snakemake.
"""
