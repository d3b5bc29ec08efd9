"""The command ``waybill``: chooses the command that is named, and runs it.

Only the module of that command is imported, because the imports of all of them take longer than
many a command.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, NamedTuple, NoReturn

from waybill import __version__
from waybill.cli import mistyped
from waybill.cli.terminal import end_output, guarded
from waybill.model.errors import EXIT_CONFIG, MEANINGS, WaybillError, one_line

PROGRAM = "waybill"
EXIT_CODES = "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
_OWN = ("-h", "--help", "--version")


class Command(NamedTuple):
    """A command: its module, which has ``add_arguments(parser)`` and ``command(screen, given)``,
    what it does in one sentence, and whether it takes options of Snakemake after ``--``."""

    module: str
    does: str
    runs_snakemake: bool = False


COMMANDS = {
    "copy": Command(
        "waybill.cli.commands.copy",
        "Move one folder, file or prefix, without a configuration.",
        runs_snakemake=True,
    ),
    "plan": Command("waybill.cli.commands.plan", "Show what a run would do.", True),
    "run": Command("waybill.cli.commands.run", "Show the plan, ask, run.", True),
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
        runs_snakemake=True,
    ),
    "report": Command(
        "waybill.cli.commands.report", "Write a page for people about each transfer."
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
    "help": Command(
        "waybill.cli.commands.help", "Tell what an exit code or a message means, and what to do."
    ),
    "completion": Command(
        "waybill.cli.commands.completion", "Print what completes words in bash, zsh or fish."
    ),
    "init": Command("waybill.cli.commands.init", "Write a configuration: asks, or takes options."),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    name = words[0] if words else ""
    if name and name not in COMMANDS and name not in _OWN:
        return _answer(mistyped.command_advice(name, words[1:], COMMANDS))
    parser = make_parser(name)
    snakemake: list[str] = []
    if name in COMMANDS and COMMANDS[name].runs_snakemake and "--" in words:
        cut = words.index("--")
        words, snakemake = words[:cut], words[cut + 1 :]
    try:
        given, more = parser.parse_known_args(words or ["--help"])
    except SystemExit:
        end_output()
        raise
    if more:
        return _answer(mistyped.words_advice(name, more, given.options))
    given.snakemake = snakemake
    return guarded(
        PROGRAM,
        lambda screen: given.command(screen, given),
        quiet=getattr(given, "quiet", False),
        document=name if getattr(given, "document", False) else "",
    )


def make_parser(*names: str) -> argparse.ArgumentParser:
    """The parser of all commands; only the commands of these ``names`` have their options."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Move data between file systems and S3, with proof.",
        epilog=f"exit codes: {EXIT_CODES}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for each, entry in COMMANDS.items():
        sub = commands.add_parser(
            each,
            help=entry.does,
            description=entry.does,
            epilog=f"exit codes: {EXIT_CODES}",
            allow_abbrev=False,
        )
        if each in names:
            found: Any = importlib.import_module(entry.module)
            found.add_arguments(sub)
            options = [word for action in sub._actions for word in action.option_strings]
            sub.set_defaults(command=found.command, options=options)
    return parser


def _answer(text: str) -> int:
    return guarded(PROGRAM, lambda _: _raise(text))


def _raise(text: str) -> NoReturn:
    raise WaybillError(one_line(text), exit_code=EXIT_CONFIG)


if __name__ == "__main__":
    sys.exit(main())
