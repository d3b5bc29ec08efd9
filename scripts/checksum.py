"""Rule ``checksum``."""

from waybill import stage, stages

stage.run(snakemake, stages.checksum)
