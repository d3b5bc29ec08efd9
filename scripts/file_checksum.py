"""Rule ``file_checksum``."""

import sys

sys.path.insert(0, snakemake.config["waybill_tree"])

from waybill.stages import job, rules

job.run(snakemake, rules.file_checksum, name="file_checksum")
