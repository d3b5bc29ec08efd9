"""Options that several commands have, and what follows from them."""

from __future__ import annotations

import argparse

from waybill.config import read
from waybill.model.transfer import Transfer
from waybill.stages.run import DEFAULT_TOML


def add_transfers(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a configuration and some of its transfers."""
    add = parser.add_argument
    add("--config", metavar="TOML", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")
    add("--transfers", metavar="A,B", help="some of its transfers (default: all)")


def add_cores(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the CPU cores."""
    parser.add_argument("--cores", metavar="N", type=_cores, help="CPU cores to use (default: all)")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that moves data."""
    add_cores(parser)
    parser.add_argument("--yes", "-y", action="store_true", help="move without a question")


def names(given: argparse.Namespace) -> list[str]:
    """The names of the transfers that were asked for; none when all are."""
    found = (name.strip() for name in (given.transfers or "").split(","))
    return [name for name in found if name]


def transfers(given: argparse.Namespace) -> dict[str, Transfer]:
    """The transfers that were asked for, by name. Raises ConfigError."""
    return read.load(given.config, transfers=names(given))


def _cores(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores")
    return int(text)
