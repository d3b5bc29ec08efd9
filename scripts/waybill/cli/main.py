"""The command ``waybill``: chooses the command that is named, and runs it.

Only the module of that command is imported, because the imports of all of them take longer than
many a command.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, NamedTuple

from waybill import __version__
from waybill.cli.terminal import guarded
from waybill.model.errors import EXIT_OK

PROGRAM = "waybill"


class Command(NamedTuple):
    """A command: its module, which has ``add_arguments(parser)`` and ``command(screen, given)``,
    and what it does in one sentence."""

    module: str
    does: str


COMMANDS = {
    "copy": Command(
        "waybill.cli.commands.copy", "Move one folder, file or prefix, without a configuration."
    ),
    "plan": Command("waybill.cli.commands.plan", "Show what a run would do."),
    "run": Command("waybill.cli.commands.run", "Show the plan, ask, run."),
    "status": Command(
        "waybill.cli.commands.status",
        "What the last run left of each transfer; 0 only when all of its source is proven.",
    ),
    "config": Command(
        "waybill.cli.commands.config", "The settings of each transfer, every one decided, as TOML."
    ),
    "verify": Command(
        "waybill.cli.commands.verify",
        "Tell whether both sides still are what was proven; nothing is changed.",
    ),
    "find": Command(
        "waybill.cli.commands.find",
        "Tell batch, tables, key and state of files, as the last look saw them.",
    ),
    "doctor": Command(
        "waybill.cli.doctor.command",
        "What machine, cluster and buckets let a run do, what will hurt it, and what to set.",
    ),
    "probe": Command(
        "waybill.cli.probe.command",
        "Write a few objects into a bucket, and tell what the store does and which keys to set.",
    ),
    "where": Command(
        "waybill.cli.commands.where", "Where the Snakefile, its profiles and the documents are."
    ),
    "init": Command(
        "waybill.cli.commands.init", "Write a starter configuration where there is none."
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(words[0] if words else "")
    given = parser.parse_args(words)
    if given.command is None:
        parser.print_help()
        return EXIT_OK
    return guarded(PROGRAM, lambda screen: given.command(screen, given))


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of all commands; only the command ``name`` has its options."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Move data between file systems and S3, with proof.",
        epilog="exit codes: 0 everything is proven, or there was nothing to do; 1 something failed"
        " or is open, named; 2 usage or configuration; 3 nothing matched the selection;"
        " 130 interrupted",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    for each, (module, does) in COMMANDS.items():
        sub = commands.add_parser(each, help=does, description=does, allow_abbrev=False)
        if each == name:
            found: Any = importlib.import_module(module)
            found.add_arguments(sub)
            sub.set_defaults(command=found.command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
