"""``waybill status``: how the last run left each transfer, and whether all of it is proven."""

from __future__ import annotations

import argparse

from waybill.cli import status
from waybill.cli.commands import options
from waybill.cli.terminal import Screen, visible
from waybill.model.errors import worst


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_quiet(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show how each transfer stands; returns 0 only when all of its source is proven."""
    codes = []
    for name, lines, code in status.total(options.transfers(given)):
        codes.append(code)
        for line in lines:
            screen.line(visible(f"{name}: {line}"))
    return worst(codes)
