"""SHA-256 of every file of a batch to upload, each byte read once; and of any single file."""


rule checksum:
    input:
        runner.to_hash(checkpoints),
    output:
        "{results}/{transfer}/checksums/{dataset}/{batch}.sha256",
    log:
        "{results}/{transfer}/logs/checksum/{dataset}/{batch}.log",
    wildcard_constraints:
        transfer=runner.direction_pattern("upload"),
    conda:
        "../envs/waybill.yaml"
    resources:
        mem_mb=runner.mem_mb,
        runtime=runner.runtime,
    message:
        "{wildcards.transfer}: hashing batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/checksum.py"


rule file_checksum:
    input:
        runner.table_of_file(checkpoints),
    output:
        "{results}/{transfer}/files/{dataset}/{path}.sha256",
    log:
        "{results}/{transfer}/logs/files/{dataset}/{path}.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: the checksum of {wildcards.path} of {wildcards.dataset}"
    script:
        "../../scripts/file_checksum.py"
