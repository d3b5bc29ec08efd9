"""Tables and pages for people."""


rule summary:
    input:
        plan="{results}/{transfer}/plan.tsv",
        manifests=runner.manifests(checkpoints),
    output:
        "{results}/{transfer}/summary.tsv",
    log:
        "{results}/{transfer}/logs/summary.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: summing up"
    script:
        "../../scripts/summary.py"


rule report_page:
    input:
        "{results}/{transfer}/plan.tsv",
    output:
        "{results}/{transfer}/report/index.html",
    log:
        "{results}/{transfer}/logs/report_page.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: writing the report"
    script:
        "../../scripts/report_page.py"
