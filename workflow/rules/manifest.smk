"""The manifest of a dataset, assembled from its markers, and its publication after the data."""


rule manifest:
    input:
        runner.markers(checkpoints),
    output:
        "{results}/{transfer}/manifests/{dataset}.json",
    log:
        "{results}/{transfer}/logs/manifest/{dataset}.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: assembling the manifest of {wildcards.dataset}"
    script:
        "../../scripts/manifest.py"


rule publish:
    input:
        "{results}/{transfer}/manifests/{dataset}.json",
    output:
        "{results}/{transfer}/published/{dataset}.json",
    log:
        "{results}/{transfer}/logs/publish/{dataset}.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    params:
        destination=runner.setting("publish_prefix"),
    message:
        "{wildcards.transfer}: publishing the manifest of {wildcards.dataset}"
    script:
        "../../scripts/publish.py"
