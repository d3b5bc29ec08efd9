"""Both sides of a transfer, put into batches; a checkpoint that runs at every start."""


checkpoint inventory:
    output:
        update(directory("{results}/{transfer}/inventory")),
    log:
        "{results}/{transfer}/logs/inventory.log",
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
        s3_streams=1,
    params:
        start=runner.start,
    message:
        "{wildcards.transfer}: looking at both sides"
    script:
        "../../scripts/inventory.py"
