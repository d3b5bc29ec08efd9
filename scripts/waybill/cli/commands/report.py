"""``waybill report``: pages for people about transfers, from their results."""

from __future__ import annotations

import argparse

from waybill.cli.commands import options
from waybill.cli.terminal import Screen, printable
from waybill.model.errors import EXIT_OK
from waybill.report import write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    parser.add_argument(
        "--all", action="store_true", help="a page over all transfers and their histories, too"
    )


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Write the pages and show where they are; returns the exit code."""
    write.require()
    transfers = options.transfers(given)
    for transfer in transfers.values():
        screen.line(printable(str(write.write(transfer))))
    if given.all:
        for path in write.write_index(transfers):
            screen.line(printable(str(path)))
    return EXIT_OK
