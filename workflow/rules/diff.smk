"""What the destination holds, against what it should; and the plan of a transfer."""


rule diff:
    input:
        runner.to_compare(checkpoints),
    output:
        "{results}/{transfer}/diff/{dataset}/{batch}.tsv",
    log:
        "{results}/{transfer}/logs/diff/{dataset}/{batch}.log",
    priority: 1
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
        s3_streams=1,
    params:
        url=runner.setting("url"),
        compare=runner.setting("compare"),
        overwrite=runner.setting("overwrite"),
    message:
        "{wildcards.transfer}: comparing batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/diff.py"


rule gather_plan:
    input:
        runner.to_plan(checkpoints),
    output:
        "{results}/{transfer}/plan.tsv",
    log:
        "{results}/{transfer}/logs/plan.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    params:
        compared=runner.compared,
    message:
        "{wildcards.transfer}: gathering the plan"
    script:
        "../../scripts/plan.py"
