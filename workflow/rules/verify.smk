"""Whether both sides still are what was proven; nothing is changed but `verify/` itself."""


wildcard_constraints:
    run="run-[0-9]+",


rule verify:
    input:
        runner.verification.verdicts,
    localrule: True


checkpoint stock:
    output:
        directory("{results}/{transfer}/verify/{run}/batches"),
    log:
        "{results}/{transfer}/verify/{run}/logs/stock.log",
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
        s3_streams=1,
    message:
        "{wildcards.transfer}: holding both sides against what was proven"
    script:
        "../../scripts/stock.py"


rule verify_batch:
    input:
        "{results}/{transfer}/verify/{run}/batches/{dataset}/{batch}.tsv",
    output:
        "{results}/{transfer}/verify/{run}/checked/{dataset}/{batch}.tsv",
    log:
        "{results}/{transfer}/verify/{run}/logs/{dataset}/{batch}.log",
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
        s3_streams=1,
    message:
        "{wildcards.transfer}: looking at batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/verify_batch.py"


# The report is no output: it stays when the verdict on it fails the job.
rule verify_report:
    input:
        runner.verification.tables(checkpoints),
    output:
        "{results}/{transfer}/verify/{run}/verdict",
    log:
        "{results}/{transfer}/verify/{run}/logs/report.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: writing the report"
    script:
        "../../scripts/verify_report.py"


# Its copy of the last run, which as a target would be there already, whatever has become of the data.
rule verify_copy:
    input:
        runner.verification.refuse,
    output:
        "{results}/{transfer}/verify/report.tsv",
