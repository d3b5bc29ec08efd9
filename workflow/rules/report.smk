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


rule plan_page:
    input:
        "{results}/{transfer}/plan.tsv",
    output:
        "{results}/{transfer}/report/plan.html",
    log:
        "{results}/{transfer}/logs/plan_page.log",
    localrule: True
    conda:
        "../envs/waybill.yaml"
    message:
        "{wildcards.transfer}: writing the plan as a page"
    script:
        "../../scripts/plan_page.py"
