"""``waybill where``: the files of Waybill that other programs are given, such as the Snakefile."""

from __future__ import annotations

import argparse

from waybill.cli.terminal import Screen
from waybill.model.errors import EXIT_OK
from waybill.system.resources import project_root

PLACES = {"snakefile": "Snakefile", "profiles": "profiles", "docs": "docs"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.description = (
        f"{parser.description} For example:"
        " snakemake --snakefile $(waybill where snakefile)"
        " --profile $(waybill where profiles)/slurm --config toml=gut.toml"
    )
    parser.add_argument("name", nargs="?", choices=list(PLACES), help="default: all of them")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Print the path that is asked for, or name and path of each; returns the exit code."""
    if given.name:
        screen.line(str(project_root() / PLACES[given.name]))
        return EXIT_OK
    for name, path in PLACES.items():
        screen.line(f"{name:<10} {project_root() / path}")
    return EXIT_OK
