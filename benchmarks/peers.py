"""Waybill beside s5cmd, aws, rclone and snakemake-storage-plugin-s3: `make bench`.

Makes the workloads W1 to W4, starts `rclone serve s3` on this machine and has every tool do the
same from an empty bucket on: first upload, nothing to do, download, one file changed; W1 and W4
once more with latency. Waybill runs as the README says, cold, everything included. The tools take
turns in an order drawn anew for each round. Every result is looked at; one that is not whole is
named and not counted.

    python benchmarks/peers.py                           measure, and print the page
    python benchmarks/peers.py --write                   ... and write it with its plot
    python benchmarks/peers.py --workloads W1 --rounds 1 --tools s5cmd,waybill --cells upload
    python benchmarks/peers.py --rounds 0 --write        the page, of what was measured before

What is measured is added to the file given by --raw; remove the file to start anew.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import raw
import table
from latency import throughput
from servers import in_memory
from session import PROOF, PROOF_CELLS, Session, Task
from tools import CELLS, TOOLS
from workloads import WORDS, make, sizes

HERE = Path(__file__).resolve().parent
PREFIX = "waybill-peers-"  # of folders that are removed at the end
LATENCY_MS = 30.0
SETTLE_SECONDS = 5  # of a session: a server starts, results are looked at and removed

ALL = ("s5cmd", "waybill", "aws", "rclone")
# workload, latency, tools, cells. The storage plugin, with tens of milliseconds a file, is in W1.
PLAN = (
    ("W1", 0.0, (*ALL, "storage"), ("upload", "nothing", "download")),
    ("W2", 0.0, ALL, ("upload", "download")),
    ("W3", 0.0, ALL, ("upload", "download")),
    ("W4", 0.0, ALL, CELLS),
    # A file that was changed just now waits there, for it may be half-written.
    ("W4", 0.0, ("waybill-ifcb",), ("upload", "nothing")),
    ("W4-10k", 0.0, ("waybill",), ("upload",)),
    ("W1", LATENCY_MS, ("s5cmd", "waybill", "rclone"), ("upload",)),
    ("W4", LATENCY_MS, ("s5cmd", "waybill", "rclone"), ("upload",)),
)
WITH_PROOF = ("W1", "W2", "W3", "W4")

# What takes long and is no target: only in the first rounds (--extra-rounds).
EXTRA_TOOLS = {("W1", 0.0): ("storage",), ("W4", LATENCY_MS): ("rclone",)}
EXTRA_CELLS = {"W4": ("download",)}

# A first guess of seconds, until something was measured: each file up, each file down, each MiB.
GUESS = {
    "s5cmd": (0.0005, 0.0003, 0.004),
    "waybill": (0.0006, 0.0005, 0.003),
    "waybill-fused": (0.0006, 0.0005, 0.003),
    "waybill-ifcb": (0.0006, 0.0005, 0.003),
    "aws": (0.0014, 0.0024, 0.003),
    "rclone": (0.0005, 0.0004, 0.005),
    "rclone-default": (0.0005, 0.0004, 0.005),
    "storage": (0.05, 0.04, 0.004),
    PROOF: (0.0002, 0.0002, 0.003),
}


def tasks(options: argparse.Namespace, number: int, of_all: int) -> list[Task]:
    """What a round measures, in its order; ``number`` is that of this call, ``of_all`` that of all
    rounds so far."""
    extra = number < options.extra_rounds
    found = []
    for workload, latency, usual, cells in PLAN:
        if workload not in options.workloads:
            continue
        if latency:
            wanted = cells if "latency" in options.cells else ()
        else:
            late = () if extra else EXTRA_CELLS.get(workload, ())
            wanted = tuple(c for c in cells if c in options.cells and c not in late)
        left_out = {PROOF}
        if not extra:
            left_out |= {*EXTRA_TOOLS.get((workload, latency), ())}
        left_out |= {"storage", "waybill-ifcb"} - {*usual}
        chosen = options.tools or usual
        if len(usual) == 1:  # Waybill beside itself
            chosen = [tool for tool in chosen if tool in usual]
        turn = [Task(tool, workload, latency, wanted) for tool in chosen if tool not in left_out]
        if not wanted:
            turn = []
        proof = PROOF in (options.tools or [PROOF]) and "proof" in options.cells
        if proof and workload in WITH_PROOF and not latency and len(usual) > 1:
            turn.append(Task(PROOF, workload, 0.0, PROOF_CELLS))
        random.Random(f"{options.seed}/{of_all}/{workload}/{latency}").shuffle(turn)
        found += turn
    return found


def estimate(planned: Sequence[Task], known: Sequence[raw.Row], scale: float) -> float:
    """Seconds that the tasks will take, by what is known of them."""
    total = 0.0
    for task in planned:
        files = sizes(task.workload, scale)
        up, down, per_mebibyte = GUESS[task.tool]
        moving = sum(files.values()) / 2**20 * per_mebibyte
        guess = {
            "upload": 2 + len(files) * up * (1.5 if task.latency_ms else 1) + moving,
            "download": 2 + len(files) * down + moving,
            "nothing": 1 + len(files) * 0.0001,
            "changed": 3 + len(files) * 0.0001,
            **dict.fromkeys(PROOF_CELLS, len(files) * up + moving),
        }
        total += SETTLE_SECONDS + len(files) * 0.0003
        for cell in {*task.cells, "upload"} if task.tool != PROOF else task.cells:
            walls = [
                row.wall
                for row in known
                if (row.tool, row.workload, row.cell, row.latency_ms)
                == (task.tool, task.workload, cell, task.latency_ms)
            ]
            total += statistics.median(walls) if walls else guess[cell]
    return total


def measure(options: argparse.Namespace, workloads: Path, folder: Path, buckets: Path) -> None:
    """Run the rounds in ``folder``, with the buckets in a folder of their own; each result is added
    to the raw file as it comes."""
    known = raw.load(options.raw, options.scale)
    first = max((row.round for row in known), default=0) + 1
    rounds = [tasks(options, i, first + i) for i in range(options.rounds)]
    planned = [task for turn in rounds for task in turn]
    minutes = estimate(planned, known, options.scale) / 60
    say(f"{len(planned)} sessions in {len(rounds)} rounds, about {minutes:.0f} minutes")
    if options.estimate or not planned:
        return
    trees = {
        name: make(workloads, name, options.scale, options.seed)
        for name in sorted({task.workload for task in planned})
    }
    versions = {name: TOOLS[name].version() for name in {t.tool for t in planned} - {PROOF}}
    versions[PROOF] = TOOLS["rclone"].version()
    machine = raw.machine(folder, buckets)
    begun = time.monotonic()
    for i, turn in enumerate(rounds):
        for task in turn:
            session = Session(
                task,
                trees[task.workload],
                Path(tempfile.mkdtemp(prefix="run-", dir=folder)),
                Path(tempfile.mkdtemp(prefix="run-", dir=buckets)),
                first + i,
                options.scale,
                machine,
                versions[task.tool],
                options.limit,
            )
            for row in session.run():
                raw.append(options.raw, row)
                at = f"{task.workload}{' +latency' if task.latency_ms else ''}"
                problem = f"; NOT WHOLE: {row.problem}" if row.problem else ""
                passed = (time.monotonic() - begun) / 60
                say(
                    f"{passed:5.1f} min, round {first + i}: {at} {row.tool} {row.cell}"
                    f" {row.wall:.2f} s, CPU {row.cpu:.2f} s, {row.peak >> 20} MiB,"
                    f" load {row.load:.1f}, loop {row.calibration:.3f} s{problem}"
                )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _names(known: Sequence[str]):
    def names(text: str) -> list[str]:
        found = text.split(",")
        if wrong := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{wrong[0]} is none of {', '.join(known)}")
        return found

    return names


def parse() -> argparse.Namespace:
    """The command line."""
    cells = [*CELLS, "latency", "proof"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3)
    add("--extra-rounds", type=int, default=1, help="of them with what takes long")
    add("--workloads", type=_names(list(WORDS)), default=list(WORDS), metavar="NAME,...")
    add("--tools", type=_names([*TOOLS, PROOF]), metavar="NAME,...", help=", ".join(TOOLS))
    add("--cells", type=_names(cells), default=cells, metavar="NAME,...", help=", ".join(cells))
    add("--scale", type=float, default=1.0, help="of the workloads, to try this out")
    add("--seed", type=int, default=1)
    add("--limit", type=float, default=1800, help="seconds after which a command is killed")
    add("--folder", type=Path, help="where everything is made; workloads in it are used again")
    add("--raw", type=Path, default=HERE / "work" / "peers.jsonl", help="what was measured")
    add("--estimate", action="store_true", help="tell how long it takes, and measure nothing")
    add("--write", action="store_true", help="write benchmarks/peers.md and its plot")
    return parser.parse_args()


def main() -> None:
    options = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running
    try:
        with ExitStack() as stack:
            if options.folder:
                options.folder.mkdir(parents=True, exist_ok=True)
            base = (options.folder or Path(tempfile.gettempdir())).resolve()
            made = [
                Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=place)))
                for place in (base, in_memory() or base)
            ]
            workloads = base if options.folder else made[0]
            measure(options, workloads / "workloads", *made)
    except KeyboardInterrupt:
        say(f"interrupted; what was measured is in {options.raw}")
        sys.exit(130)
    rows = raw.load(options.raw, options.scale)
    if options.estimate or not rows:
        return
    page = table.page(rows, throughput() if any(row.latency_ms for row in rows) else None)
    print(page)
    if options.write:
        import plot  # which needs matplotlib

        (HERE / "peers.md").write_text(page, encoding="utf-8")
        plot.write(rows, HERE / "peers.svg")


if __name__ == "__main__":
    main()
