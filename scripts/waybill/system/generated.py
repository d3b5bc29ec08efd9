"""Pages that are made from the code: written, or held against the file that is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from waybill.model.errors import WaybillError
from waybill.system.resources import project_root


def main(
    module: str,
    page: Callable[[argparse.Namespace], str],
    name: str,
    arguments: Sequence[str] | None,
    options: Sequence[tuple[str, str]] = (),
) -> int:
    """Check or write docs/``name``, whose text ``page`` makes; returns the exit code: 0 when the
    file is written or right, 1 when it is out of date. ``module`` is what a user runs, and
    ``options`` are more switches, each with its help."""
    command = f"python -m {module} --write"
    parser = argparse.ArgumentParser(prog=module, description=f"Check or write docs/{name}.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="only look (the default)")
    choice.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--file", type=Path, default=project_root() / "docs" / name, metavar="PATH")
    for switch, text in options:
        parser.add_argument(switch, action="store_true", help=text)
    given = parser.parse_args(arguments)
    try:
        wanted = page(given)
    except WaybillError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    file = given.file
    if given.write:
        file.write_text(wanted, encoding="utf-8")
        return 0
    if file.is_file() and file.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{file} is out of date; run: {command}", file=sys.stderr)
    return 1
