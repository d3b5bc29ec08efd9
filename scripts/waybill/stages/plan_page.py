"""The plan as a page for a browser: one self-contained HTML file."""

from __future__ import annotations

import csv
import html
from pathlib import Path

import pandas as pd

from waybill.model.units import format_size

MOST_ROWS = 5_000
MEANING = {
    "=": "unchanged",
    "+": "new",
    "*": "changed",
    "-": "only at the destination",
    "!": "cannot be compared or failed",
}
_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: 0.2em 0.8em; text-align: left; border-bottom: 1px solid #ccc; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def read_plan(path: Path) -> pd.DataFrame:
    """The plan table (columns: ``results.batch_tables.PLAN_COLUMNS``), ``size`` in bytes as a
    number; names stay escaped as ``escape`` left them."""
    plan = pd.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)
    plan["size"] = plan["size"].replace("", "0").astype("int64")
    return plan


def page(plan: pd.DataFrame, title: str) -> str:
    """The page: counts by dataset and status, then every entry that is not unchanged."""
    counts = plan.groupby(["dataset", "status"], sort=True)["size"].agg(["count", "sum"])
    summary = [
        (dataset, status, MEANING[status], f"{files:,}", format_size(size))
        for (dataset, status), files, size in counts.itertuples(name=None)
    ]
    rest = plan.loc[plan["status"] != "="]
    shown = rest.head(MOST_ROWS)
    entries = [
        (r[0], r[1], r[2], r[3], format_size(r[4]), r[5][:16], r[6])
        for r in shown[
            ["dataset", "status", "action", "path", "size", "sha256", "reason"]
        ].itertuples(index=False, name=None)
    ]
    more = f"<p>The first {MOST_ROWS:,} of {len(rest):,}.</p>" if len(rest) > MOST_ROWS else ""
    return "".join(
        (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}',
            f"</title><style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n",
            _table(("dataset", "status", "meaning", "files", "size"), summary, {3, 4}),
            "<h2>What is not unchanged</h2>\n" if len(rest) else "<p>All is unchanged.</p>\n",
            more,
            _table(
                ("dataset", "status", "action", "path", "size", "SHA-256", "reason"), entries, {4}
            )
            if len(rest)
            else "",
            "</html>\n",
        )
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]], numbers: set[int]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="number">{html.escape(cell)}</td>'
            if i in numbers
            else f"<td>{html.escape(cell)}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n"
