"""``python -m storm``: worlds in parallel, a report of what was found."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from storm import record
from storm.play import ROUNDS_OF_A_WORLD, Told, play_here, ready
from storm.rounds import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--world", type=int, help="play this world alone")
    parser.add_argument("--localstack", default="", metavar="PYTHON",
                        help="a Python with localstack-core; else moto is the server")  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, help="where worlds are; those with findings are kept"
    )
    parser.add_argument("--write", type=Path, metavar="MD", help="write a report")
    given = parser.parse_args()
    ready()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="waybill-storm-"))
    size = ROUNDS_OF_A_WORLD
    worlds = [(n, min(size, given.rounds - n * size)) for n in range(-(-given.rounds // size))]
    if given.world is not None:
        worlds = [(given.world, size)]
    begun, tally, found = time.monotonic(), Tally(), []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.workers, context, initializer=ready) as pool:
        waiting = {
            pool.submit(play_here, given.seed, n, count, folder, given.localstack): n
            for n, count in worlds
        }
        for done in as_completed(waiting):
            if error := done.exception():  # a mistake of the storm's own: it counts, and it goes on
                text = "".join(traceback.format_exception(error))
                told = Told(waiting[done])
                told.findings.append(record.Found("storm itself", text, told.number, 0, 0, (), ""))
            else:
                told = done.result()
            tally.add(told.tally)
            found += told.findings
            for finding in told.findings:
                print(finding.told(given.seed), flush=True)
            seconds = time.monotonic() - begun
            far = f"{tally.rounds} of {sum(count for _, count in worlds)} rounds"
            print(f"storm: {far}, {len(found)} findings, {seconds:.0f} s", flush=True)
    seconds = time.monotonic() - begun
    server = "localstack-core" if given.localstack else "moto"
    text = record.page(given.seed, server, given.workers, seconds, tally, found)
    print(text)
    if given.write:
        given.write.write_text(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
