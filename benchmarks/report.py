"""What the report page costs: `python benchmarks/report.py [COUNT …]`.

For each count of entries (2,000 and 100,000 by default) the results of a transfer are made, with
batches, proofs, journals and records of jobs as a first run leaves them. Then the page is written,
in three rounds, by the process that a run starts for it; and opened in a headless Chromium, in
three rounds, until the table has its rows. `make test-pages` installs what opens it.

`--write` writes `benchmarks/report.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import meter

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

BATCH = 25_000
ROUNDS = 3
HEAD = (
    "| entries | written, s | CPU, s | memory, MiB | page, MB | opened, s |\n"
    "|---|---|---|---|---|---|"
)
WRITE = (
    "import sys; sys.stdin = open(sys.argv.pop()); from waybill.report.__main__ import main; main()"
)


def make(folder: Path, count: int) -> Any:
    """The results of a first run over ``count`` files of many sizes."""
    from support.made import Made
    from waybill.results import history, jobs
    from waybill.results.history import Ended
    from waybill.results.jobs import Job

    made, now = Made(folder, prefix="data/"), time.time()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        files = {
            f"plate_{n // 1000:04d}/well_{n:07d}/image.tif": 4 ** (n % 13) + n for n in numbers
        }
        name = f"b.{start:08d}.00000000"
        made.batch(files, name=name, moved=len(files))
        job = Job("upload", "t", name, "node1", begun=now - 100, time=now - 10, code=0)
        job.moved, job.every = sum(files.values()), 2.0
        job.moves = [job.moved // 45] * 45
        jobs.append(made.layout, job)
    made.end()
    ended = Ended(time="2026-01-02T03:04:05+00:00", seconds=120, kind="run", code=0, run="run1")
    history.append(made.layout, ended)
    return made


def opened(page: Path) -> float | None:
    """Seconds until the table of a page has its rows, the median; None without a browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    times = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(ROUNDS):
            tab = browser.new_page()
            begun = time.monotonic()
            tab.goto(page.as_uri())
            tab.wait_for_selector("#entries tbody tr")
            times.append(time.monotonic() - begun)
            tab.close()
        browser.close()
    return statistics.median(times)


def measure(count: int, folder: Path) -> str:
    """The row of the table for one count."""
    made = make(folder, count)
    given = folder / "given.json"
    given.write_text(json.dumps({"t": made.transfer.for_jobs()}), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-c", WRITE, str(given)]
    costs = [meter.measure(command, environment, folder / "log") for _ in range(ROUNDS)]
    if any(cost.code for cost in costs):
        sys.exit((folder / "log").read_text(encoding="utf-8"))
    seconds = opened(made.layout.page)
    cells = (
        f"{count:,}",
        f"{statistics.median(cost.wall for cost in costs):.1f}",
        f"{statistics.median(cost.cpu for cost in costs):.1f}",
        f"{max(cost.peak for cost in costs) / 2**20:.0f}",
        f"{made.layout.page.stat().st_size / 1e6:.2f}",
        "no browser" if seconds is None else f"{seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", metavar="COUNT", nargs="*", type=int, default=[2_000, 100_000])
    parser.add_argument("--write", action="store_true", help="write benchmarks/report.md")
    given = parser.parse_args()
    rows = []
    for count in given.counts:
        with tempfile.TemporaryDirectory(prefix="waybill-report-") as folder:
            rows.append(measure(count, Path(folder)))
    table = "\n".join((HEAD, *rows))
    print(table)
    if given.write:
        load = os.getloadavg()[0]
        text = (
            "<!-- python benchmarks/report.py --write -->\n# The report page\n\n"
            f"The median of {ROUNDS} rounds, on {os.cpu_count()} cores at a load of {load:.0f}.\n\n"
        )
        (ROOT / "benchmarks" / "report.md").write_text(f"{text}{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
