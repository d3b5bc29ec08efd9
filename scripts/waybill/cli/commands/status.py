"""``waybill status``: how the last run left each transfer, and whether all of it is proven."""

from __future__ import annotations

import argparse

from waybill.cli import documents, status
from waybill.cli.commands import options
from waybill.cli.terminal import Screen, visible
from waybill.model.errors import worst
from waybill.results.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_quiet(parser)
    options.add_json(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show how each transfer stands; returns 0 only when all of its source is proven."""
    codes = []
    told = screen.data["transfers"] = []
    transfers = options.transfers(given)
    for name, lines, code in status.total(transfers):
        codes.append(code)
        if screen.json:
            transfer = transfers[name]
            found = documents.of_outcome(transfer, Layout(transfer.results), code)
            told.append({**found, "lines": lines})
        for line in lines:
            screen.line(visible(f"{name}: {line}"))
    return worst(codes)
