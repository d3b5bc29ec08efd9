"""Two versions of Waybill side by side: is the one of now slower than an earlier one?

    python benchmarks/versions.py 81c658d              W1 and W4: first upload, nothing to do
    python benchmarks/versions.py 81c658d --workloads W1 --cells upload,nothing,download

The earlier version is taken out of git. Both run cold, as the README says, from an empty bucket on,
and take turns; which one begins changes with every round. Every result is looked at. The ratios are
those of the medians, `after / before`.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import raw
import session
import tools
from peers import PREFIX, say
from servers import in_memory
from workloads import WORDS, make


def check_out(revision: str, folder: Path) -> Path:
    """The tree of a revision, below ``folder``."""
    made = folder / "before"
    made.mkdir()
    archive = ["git", "-C", str(tools.ROOT), "archive", revision]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as git:
        subprocess.run(["tar", "-x", "-C", str(made)], stdin=git.stdout, check=True)
    if git.returncode:
        raise SystemExit(f"{revision}: no such revision")
    return made


def measure(options: argparse.Namespace, folder: Path, buckets: Path) -> list[raw.Row]:
    """The rows of all rounds."""
    ours = tools.TOOLS["waybill"]
    for name, root in (("before", check_out(options.before, folder)), ("after", tools.ROOT)):
        command = tools.waybill_command(root)
        tools.TOOLS[name] = dataclasses.replace(ours, name=name, command=command)
    trees = {name: make(folder / "workloads", name, options.scale) for name in options.workloads}
    found = []
    for number in range(options.rounds):
        for workload in options.workloads:
            turn = ("before", "after") if number % 2 else ("after", "before")
            for name in turn:
                one = session.Session(
                    session.Task(name, workload, 0.0, tuple(options.cells)),
                    trees[workload],
                    Path(tempfile.mkdtemp(prefix="run-", dir=folder)),
                    Path(tempfile.mkdtemp(prefix="run-", dir=buckets)),
                    number + 1,
                    options.scale,
                    "",
                    name,
                    1800,
                )
                for row in one.run():
                    found.append(row)
                    problem = f"; NOT WHOLE: {row.problem}" if row.problem else ""
                    say(
                        f"round {row.round}: {workload} {name} {row.cell} {row.wall:.2f} s,"
                        f" CPU {row.cpu:.2f} s, load {row.load:.1f}{problem}"
                    )
    return found


def table(rows: list[raw.Row]) -> str:
    """Medians and their ratios, a line for each workload and cell."""
    lines = ["workload cell      before s  after s  ratio   CPU before  after  ratio  rounds"]
    for workload, cell in dict.fromkeys((row.workload, row.cell) for row in rows):
        same = [r for r in rows if (r.workload, r.cell) == (workload, cell) and not r.problem]
        sides = [[row for row in same if row.tool == name] for name in ("before", "after")]
        if not all(sides):
            lines.append(f"{workload:8} {cell:9} nothing whole to compare")
            continue
        wall = [statistics.median(row.wall for row in side) for side in sides]
        cpu = [statistics.median(row.cpu for row in side) for side in sides]
        lines.append(
            f"{workload:8} {cell:9} {wall[0]:8.2f} {wall[1]:8.2f} {wall[1] / wall[0]:6.3f}"
            f" {cpu[0]:12.2f} {cpu[1]:6.2f} {cpu[1] / cpu[0]:6.3f}  {len(sides[1])}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("before", help="a revision of git")
    add("--workloads", type=lambda text: text.split(","), default=["W1", "W4"], metavar="NAME,...")
    add("--cells", type=lambda t: t.split(","), default=["upload", "nothing"], metavar="NAME,...")
    add("--rounds", type=int, default=5)
    add("--scale", type=float, default=1.0, help="of the workloads, to try this out")
    options = parser.parse_args()
    if wrong := {*options.workloads} - {*WORDS} | {*options.cells} - {*tools.CELLS}:
        sys.exit(f"{min(wrong)}: no workload and no cell")
    session.OURS = ()  # their jobs are not looked into
    with ExitStack() as stack:
        base = Path(tempfile.gettempdir()).resolve()
        made = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=place)))
            for place in (base, in_memory() or base)
        ]
        rows = measure(options, *made)
    print(table(rows))


if __name__ == "__main__":
    main()
