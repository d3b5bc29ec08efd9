# The same transfers by snakemake-storage-plugin-s3. It takes no folders; a job of one file costs it
# more than one of 100, and a job of thousands grows with the square of its files.

from itertools import islice
from pathlib import Path

FILES_OF_A_JOB = 100

with open(config["names"]) as names:
    lines = iter(names.read().splitlines())
BATCHES = list(iter(lambda: list(islice(lines, FILES_OF_A_JOB)), []))


def there(names):
    return [storage.s3(f"{config['url']}/{name}") for name in names]


rule upload:
    input:
        there(name for names in BATCHES for name in names),
    default_target: True


rule download:
    input:
        [f"{config['target']}/{name}" for names in BATCHES for name in names],


for number, names in enumerate(BATCHES):

    rule:
        name:
            f"upload_{number}"
        input:
            [f"{config['data']}/{name}" for name in names],
        output:
            there(names),
        shell:
            "paste -d ' ' <(printf '%s\\n' {input}) <(printf '%s\\n' {output}) | xargs -n 2 cp"

    rule:
        name:
            f"download_{number}"
        input:
            there(names),
        output:
            [f"{config['target']}/{name}" for name in names],
        shell:
            "paste -d ' ' <(printf '%s\\n' {input}) <(printf '%s\\n' {output}) | xargs -n 2 cp"
