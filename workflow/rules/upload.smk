"""Moves a batch to S3 and writes its marker."""


rule upload:
    input:
        "{results}/{transfer}/diff/{dataset}/{batch}.tsv",
    output:
        "{results}/{transfer}/markers/{dataset}/{batch}.tsv",
    log:
        "{results}/{transfer}/logs/upload/{dataset}/{batch}.log",
    benchmark:
        "{results}/{transfer}/benchmarks/upload/{dataset}/{batch}.tsv"
    conda:
        "../../environment.yml"
    resources:
        s3_streams=1,
    params:
        destination=runner.setting("url"),
    message:
        "{wildcards.transfer}: uploading batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/upload.py"
