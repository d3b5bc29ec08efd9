"""The page of one transfer, as one HTML file without anything from elsewhere."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from waybill.report import charts, facts, states
from waybill.report import entries as entry_tables
from waybill.report import jobs as job_records
from waybill.report.templates import template
from waybill.results import journal
from waybill.results.layout import Layout

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

MOST_BYTES = 5_000_000  # of a page
MOST_DATA = 3_500_000  # of the table of entries in it
PLAIN_BYTES = 200_000  # up to this size the table is not compressed
MOST_HASHED = 20_000  # rows that carry their SHA-256
MOST_LISTED = 10  # largest files, slowest batches
SHORTENED = 1_000  # rows where not all have room


class Page(NamedTuple):
    """A page as HTML in UTF-8, and its charts by name as files of SVG."""

    html: bytes
    charts: dict[str, bytes]


def render(transfer: Transfer, layout: Layout) -> Page:
    """The page of a transfer. Raises WaybillError and OSError when the results cannot be read."""
    moved = functools.cache(journal.moved)
    told = facts.read(transfer, layout, moved)
    run = told.last_moving.run if told.last_moving else told.seen.run
    found = entry_tables.read(transfer, layout, told.seen, told.found.failures, run, moved)
    moved.cache_clear()
    jobs = job_records.read(layout, found.moved, told.last_moving)
    drawn = _charts(found, jobs)
    page = template("transfer.html.j2").render(
        transfer=transfer,
        told=told,
        entries=found,
        states=_states(found),
        datasets=facts.datasets(layout, transfer, told, found),
        reasons=facts.reasons(told.found),
        charts=drawn,
        jobs=jobs,
        slowest=sorted(jobs.jobs, key=lambda job: job.begun - job.time)[:MOST_LISTED],
        largest=found.kept.nlargest(MOST_LISTED, "size").to_dict("records"),
        data=entry_data(found.kept),
        settings=facts.settings(transfer),
        versions=facts.versions(),
        most_failures=facts.MOST_FAILURES,
        most_runs=facts.MOST_RUNS,
        tables=_tables(layout),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
    )
    return Page(page.encode(), {name: charts.as_file(chart) for name, _, chart in drawn})


def _states(found: entry_tables.Entries) -> list[tuple[states.State, int, int]]:
    """Each state that an entry is in, with files and bytes."""
    counted = [(state, *found.of(state.word)) for state in states.STATES]
    return [item for item in counted if item[1]]


def _charts(
    found: entry_tables.Entries, jobs: job_records.Jobs
) -> list[tuple[str, str, charts.Chart]]:
    """The charts with their names and titles, without those that have nothing to show."""
    drawn = (
        ("throughput", "Throughput", charts.throughput(jobs.jobs)),
        ("timeline", "Jobs and nodes", charts.timeline(jobs.jobs)),
        ("sizes", "Sizes of the files", charts.sizes(found.sizes)),
    )
    return [(name, title, chart) for name, title, chart in drawn if chart is not None]


def _tables(layout: Layout) -> list[tuple[str, str]]:
    """The tables of the whole transfer that are there: a link and a name each."""
    there = [layout.plan, layout.summary, layout.root / "verify" / "report.tsv"]
    return [(f"../{layout.name_of(path)}", layout.name_of(path)) for path in there if path.exists()]


def entry_data(kept: Any) -> dict[str, Any]:
    """A table of pandas for the script of the page: ``text``, JSON, or where it is large
    ``packed``, the same compressed by gzip and in base64; and ``rows``, how many there are. Where
    not all of them have room, they are the first, which are the worst and largest."""
    shown = kept
    while True:
        text = json.dumps(_columns(shown), ensure_ascii=False, separators=(",", ":"))
        if len(text) <= PLAIN_BYTES:
            text = text.replace("<", "\\u003c")  # no end of the script
            return {"text": text, "packed": "", "rows": len(shown)}
        packed = base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
        if len(packed) <= MOST_DATA or len(shown) <= SHORTENED:
            return {"text": "", "packed": packed, "rows": len(shown)}
        shown = shown.head(max(SHORTENED, int(len(shown) * 0.9 * MOST_DATA / len(packed))))


def _columns(rows: Any) -> dict[str, Any]:
    """Columns in place of rows, and repeated texts as numbers of a list."""
    by_word = {state.word: number for number, state in enumerate(states.STATES)}
    datasets, dataset_of = _listed(rows["dataset"])
    reasons, reason_of = _listed(rows["reason"])
    return {
        "states": [[state.sign, state.word, state.kind] for state in states.STATES],
        "datasets": datasets,
        "reasons": reasons,
        "path": rows["path"].tolist(),
        "size": rows["size"].tolist(),
        "state": rows["state"].map(by_word).tolist(),
        "dataset": dataset_of,
        "reason": reason_of,
        "moved": rows["moved"].astype(int).tolist(),
        "sha256": rows["sha256"].tolist() if len(rows) <= MOST_HASHED else [],
    }


def _listed(texts: Any) -> tuple[list[str], list[int]]:
    """The different texts, and for each row the number of its text."""
    codes, different = texts.factorize()
    return list(map(str, different)), codes.tolist()
