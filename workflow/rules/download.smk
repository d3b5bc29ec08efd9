"""Moves a batch out of S3, hashing as it writes, and writes its marker; on a cluster its diff goes
along."""


rule download:
    input:
        runner.to_move(checkpoints),
    output:
        marker="{results}/{transfer}/markers/{dataset}/{batch}.tsv",
        checksums="{results}/{transfer}/checksums/{dataset}/{batch}.sha256",
    log:
        "{results}/{transfer}/logs/download/{dataset}/{batch}.log",
    wildcard_constraints:
        transfer=runner.direction_pattern("download"),
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
        "{wildcards.transfer}: downloading batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/download.py"
