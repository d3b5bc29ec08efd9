"""Tries the files of a dataset that move first; the others wait for that, not for its success."""


rule first:
    input:
        runner.to_try(checkpoints),
    output:
        "{results}/{transfer}/tried/{dataset}/{batch}",
    log:
        "{results}/{transfer}/logs/first/{dataset}/{batch}.log",
    wildcard_constraints:
        batch=FIRST_BATCH_NAME,
    priority: 3
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
        s3_streams=1,
    message:
        "{wildcards.transfer}: moving the first files of {wildcards.dataset}"
    script:
        "../../scripts/first.py"
