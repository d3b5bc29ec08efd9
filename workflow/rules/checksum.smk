"""SHA-256 of every file of a batch to upload, each byte read once."""


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
        "../../environment.yml"
    message:
        "{wildcards.transfer}: hashing batch {wildcards.batch} of {wildcards.dataset}"
    script:
        "../../scripts/checksum.py"
