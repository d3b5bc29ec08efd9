"""The page over all transfers of a folder of results, with their histories."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from waybill.model.errors import WaybillError
from waybill.model.transfer import Transfer
from waybill.report import facts
from waybill.report.templates import template
from waybill.results.layout import Layout

MOST_RUNS = 30  # of each transfer


def render(transfers: Iterable[Transfer]) -> bytes:
    """The page, as HTML in UTF-8. A transfer whose results cannot be read is named with the reason.
    Raises OSError."""
    rows = [_row(transfer) for transfer in transfers]
    order = {"bad": 0, "open": 1, "wait": 2, "calm": 3, "good": 4}
    rows.sort(key=lambda row: (order[row["verdict"].kind], row["name"]))
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    page = template("index.html.j2").render(rows=rows, written=written, most_runs=MOST_RUNS)
    return page.encode()


def _row(transfer: Transfer) -> dict[str, Any]:
    layout = Layout(transfer.results)
    row: dict[str, Any] = {
        "name": transfer.name,
        "source": transfer.source,
        "destination": transfer.destination,
        "link": f"{quote(transfer.name)}/report/index.html" if layout.page.exists() else "",
        "files": 0,
        "bytes": 0,
        "runs": [],
        "verified": None,
    }
    try:
        told = facts.read(transfer, layout)
    except WaybillError as error:
        return {**row, "verdict": facts.Verdict("✗", "damaged", "bad", str(error))}
    verified = told.verifications[-1] if told.verifications else None
    return {
        **row,
        "verdict": told.verdict,
        "files": told.found.files,
        "bytes": told.found.bytes,
        "runs": told.runs[-MOST_RUNS:],
        "verified": verified,
    }
