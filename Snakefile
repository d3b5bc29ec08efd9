# Waybill: scientific data between file systems and S3, with proof. Its files:
# results/{transfer}/inventory/{dataset}/{batch}.{local,remote}.tsv   a batch, as found on each side
# results/{transfer}/checksums/{dataset}/{batch}.sha256       for `sha256sum -c` in the folder
# results/{transfer}/diff/{dataset}/{batch}.tsv               per entry: = + * ! and what to do
# results/{transfer}/plan.tsv                                 all entries; target `plan` stops here
# results/{transfer}/tried/{dataset}/{batch}                  each file of `first` was tried
# results/{transfer}/markers/{dataset}/{batch}.tsv            proof that a batch has moved
# results/{transfer}/manifests/{dataset}.json                 proven entries of a dataset
# results/{transfer}/published/{dataset}.json                 where the manifest stands in the bucket
# results/{transfer}/summary.tsv, report/plan.html            for people; target `report` is the page
# results/{transfer}/verify/{run}/verdict                     both sides agree; target `verify`
# Never Snakemake outputs: data; journal, cache, failures, resting, seals, {state,notify}.json.
#   snakemake                                        everything in config/config.toml
#   snakemake plan, snakemake verify                 what would be done; does all of it still stand
#   snakemake --config toml=PATH transfers=A,B       another configuration, some of its transfers

from snakemake.utils import min_version

min_version("9.14")


include: "workflow/rules/common.smk"
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


rule all:
    default_target: True
    input:
        runner.last(checkpoints),


rule plan:
    input:
        runner.per_transfer("plan.tsv"),


rule report:
    input:
        runner.per_transfer("report/plan.html"),
