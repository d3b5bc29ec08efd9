"""``waybill status``: how the last run left each transfer, and whether all of it is proven."""

from __future__ import annotations

import argparse

from waybill.cli import documents, status
from waybill.cli.commands import options
from waybill.cli.follow import follow, forecast_of, is_running
from waybill.cli.terminal import Screen, visible
from waybill.model.errors import worst
from waybill.results.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_quiet(parser)
    options.add_json(parser)
    parser.add_argument(
        "--follow", "-f", action="store_true",
        help="first show how far runs of other terminals and nodes are, until they have ended",
    )  # fmt: skip


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show how each transfer stands; returns 0 only when all of its source is proven."""
    codes = []
    told = screen.data["transfers"] = []
    transfers = options.transfers(given)
    if given.follow and not follow(screen, transfers):
        screen.note("no run is at work here; this is how the last one ended")
    for name, lines, code in status.total(transfers):
        codes.append(code)
        if screen.json:
            transfer = transfers[name]
            found = documents.of_outcome(transfer, Layout(transfer.results), code)
            now = documents.of_progress(
                forecast_of({name: transfer}).look(), running=is_running(transfer)
            )
            told.append({**found, "lines": lines, "progress": now})
        for line in lines:
            screen.line(visible(f"{name}: {line}"))
    return worst(codes)
