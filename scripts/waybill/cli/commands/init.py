"""``waybill init``: writes a starter configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from waybill.cli.starter import STARTER
from waybill.cli.terminal import Screen, printable
from waybill.model.errors import EXIT_CONFIG, EXIT_OK, WaybillError
from waybill.stages.run import DEFAULT_TOML


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("path", nargs="?", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Write a starter configuration where there is none; returns the exit code."""
    path = Path(given.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        text = f"{path}: is there already; nothing written"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    screen.line(f"Written to {printable(str(path))}; fill it in, then `waybill plan`")
    return EXIT_OK
