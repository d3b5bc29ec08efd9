"""``waybill completion``: the script that completes words in a shell."""

from __future__ import annotations

import argparse
from typing import Any

from waybill.cli.terminal import Screen
from waybill.model.errors import EXIT_OK

SHELLS = ("bash", "zsh", "fish")

_FILES = {"TOML", "FILE", "SOURCE", "path"}
_FOLDERS = {"FOLDER", "DESTINATION"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("shell", choices=SHELLS)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Print the script; returns the exit code."""
    import shtab

    from waybill.cli.main import COMMANDS, make_parser

    parser = make_parser(*COMMANDS)
    for action in _actions(parser):
        name = action.metavar or action.dest
        if name in _FILES:
            action.complete = shtab.FILE
        elif name in _FOLDERS:
            action.complete = shtab.DIRECTORY
    screen.line(shtab.complete(parser, given.shell))
    return EXIT_OK


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    found: list[Any] = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _actions(below)
    return found
