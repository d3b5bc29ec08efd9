"""Moves a batch to S3 and writes its marker; on a cluster its checksum and diff go along."""


rule upload:
    input:
        runner.to_move(checkpoints),
    output:
        "{results}/{transfer}/markers/{dataset}/{batch}.tsv",
    log:
        "{results}/{transfer}/logs/upload/{dataset}/{batch}.log",
    wildcard_constraints:
        transfer=runner.direction_pattern("upload"),
    # Before the next batch is hashed, so that the second read comes from the page cache.
    priority: 2
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
        "{wildcards.transfer}: uploading batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/upload.py"
