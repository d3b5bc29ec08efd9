"""What ``snakemake --report`` shows of a transfer: the files of its results that are there, each
with its caption, its place and its labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from waybill.results.layout import Layout

MOST_BYTES = 20_000_000  # of the tables of batches, all of which go into one file
OVERVIEW, DIFFERENCES, VERIFICATION = "Overview", "Differences", "Verification"


class Shown(NamedTuple):
    """One file: its caption in ``workflow/report``, its subcategory and its labels."""

    path: Path
    caption: str
    subcategory: str
    labels: dict[str, str]


def files(layout: Layout) -> Iterator[Shown]:
    """The files of a transfer. Tables of batches are left out from the one on with which they would
    have more than ``MOST_BYTES``."""
    whole = [
        Shown(layout.page, "page.rst", OVERVIEW, {"what": "report page"}),
        *(
            Shown(path, "chart.rst", OVERVIEW, {"what": f"chart: {path.stem}"})
            for path in sorted(layout.page.parent.glob("[!.]*.svg"))
        ),
        Shown(layout.summary, "summary.rst", OVERVIEW, {"what": "summary"}),
        Shown(layout.plan, "plan.rst", OVERVIEW, {"what": "plan"}),
        *(
            Shown(path, "verify.rst", VERIFICATION, {"what": "findings"})
            for path in sorted(layout.root.glob("verify/run-*/report.tsv"))[-1:]
        ),
    ]
    yield from (one for one in whole if one.path.exists())
    size = 0
    for path in sorted(layout.root.glob("diff/*/[!.]*.tsv")):
        size += path.stat().st_size
        if size > MOST_BYTES:
            return
        labels = {"dataset": path.parent.name, "batch": path.stem}
        yield Shown(path, "diff.rst", DIFFERENCES, labels)
