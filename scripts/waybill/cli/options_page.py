"""Makes docs/options.md out of the parsers of all commands.

``python -m waybill.cli.options_page --write`` writes the page, ``--check`` (the default) only says
whether it is up to date: exit code 0 when it is, 1 when not.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence

from waybill.cli import main as waybill
from waybill.cli.glacier import arguments as glacier
from waybill.cli.hca import arguments as hca
from waybill.cli.pt5 import arguments as pt5
from waybill.cli.s3_upload import arguments as s3_upload
from waybill.model.errors import MEANINGS
from waybill.system import generated

_INTRO = """\
<!-- Made from the code: python -m waybill.cli.options_page --write -->
# Every command and its options

`COMMAND --help` prints the same. [commands.md](commands.md) shows how the commands of `waybill`
are used.

## Exit codes

They are the same in every command, and in `snakemake` with Waybill's Snakefile.

| code | means |
|---:|---|
"""
_SIGNALS = """\
143 stands for SIGTERM and 129 for SIGHUP. [troubleshooting.md](troubleshooting.md) has every
message.
"""


def parsers() -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands; those of `waybill` one for each of its commands."""
    whole = waybill.make_parser(*waybill.COMMANDS)
    yield from _below(whole)
    yield hca.make_parser()
    yield glacier.make_parser()
    yield from _below(s3_upload.make_parser())
    yield pt5.make_parser()


def page() -> str:
    """The text of docs/options.md."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items())
    parts = [_INTRO + codes, _SIGNALS]
    for parser in parsers():
        parts.append(f"## {parser.prog}\n")
        does = _text(parser.description or "")
        parts.append(f"{does[:1].upper()}{does[1:]}.\n")
        if parser.usage and any(action.help is argparse.SUPPRESS for action in parser._actions):
            parts.append(f"```text\n{parser.usage}\n```\n")
        rows = [row for action in parser._actions if (row := _row(action))]
        if rows:
            parts.append("| argument | means |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def _row(action: argparse.Action) -> str:
    """A row of the table; empty for what the page does not tell of each command."""
    if action.help is argparse.SUPPRESS or isinstance(
        action, argparse._HelpAction | argparse._VersionAction
    ):
        return ""
    name = " ".join([", ".join(action.option_strings), _value(action)]).strip()
    means = _text((action.help or "") % {"default": action.default, "prog": ""})
    return f"| `{_cell(name)}` | {_cell(means)} |"


def _value(action: argparse.Action) -> str:
    """What stands behind an option, or for an argument without a name."""
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return " or ".join(map(str, action.choices))
    name = action.metavar or (action.dest if not action.option_strings else action.dest.upper())
    return str(name) + (" ..." if action.nargs in ("*", "+") else "")


def _text(text: str) -> str:
    """A sentence of a help text, as it stands on a page."""
    text = " ".join(text.split()).rstrip(".")
    return re.sub(r"[<>*]", lambda found: "\\" + found[0], text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the page; returns the exit code."""
    return generated.main("waybill.cli.options_page", lambda _: page(), "options.md", arguments)


if __name__ == "__main__":
    sys.exit(main())
