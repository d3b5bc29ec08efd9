"""Tables and pages for people."""


localrules:
    summary,
    plan_page,


rule summary:
    input:
        plan="{results}/{transfer}/plan.tsv",
        manifests=runner.manifests(checkpoints),
    output:
        report(
            "{results}/{transfer}/summary.tsv",
            caption="../report/summary.rst",
            category="{transfer}",
        ),
    log:
        "{results}/{transfer}/logs/summary.log",
    conda:
        "../../environment.yml"
    message:
        "{wildcards.transfer}: summing up"
    script:
        "../../scripts/summary.py"


rule plan_page:
    input:
        "{results}/{transfer}/plan.tsv",
    output:
        report(
            "{results}/{transfer}/report/plan.html",
            caption="../report/plan.rst",
            category="{transfer}",
        ),
    log:
        "{results}/{transfer}/logs/plan_page.log",
    conda:
        "../../environment.yml"
    message:
        "{wildcards.transfer}: writing the plan as a page"
    script:
        "../../scripts/plan_page.py"
