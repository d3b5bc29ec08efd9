# Waybill: scientific data between file systems and S3, with proof.
# docs/architecture.md has every file under results/{transfer}, and who writes and reads it.
#   snakemake                                        everything in config/config.toml
#   snakemake plan, snakemake verify                 what would be done; does all of it still stand
#   snakemake --config toml=PATH transfers=A,B       another configuration, some of its transfers

from snakemake.utils import min_version

min_version("9.24")


report: "workflow/report/front.rst"


include: "workflow/rules/common.smk"


rule all:
    input:
        runner.last(checkpoints),


rule plan:
    input:
        runner.per_transfer("plan.tsv"),


rule report:
    input:
        runner.per_transfer("report/index.html"),


include: "workflow/rules/inventory.smk"
include: "workflow/rules/checksum.smk"
include: "workflow/rules/diff.smk"
include: "workflow/rules/first.smk"
include: "workflow/rules/upload.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/manifest.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/verify.smk"


onstart:
    runner.begin()


onsuccess:
    runner.end(success=True)


onerror:
    runner.end(success=False)
