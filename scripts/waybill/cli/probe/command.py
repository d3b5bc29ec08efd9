"""``waybill probe``: what a store does of all that Waybill uses, and which keys to set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from waybill import __version__
from waybill.cli.terminal import asks, printable, table, visible
from waybill.model.errors import EXIT_CONFIG, EXIT_OK, ConfigError
from waybill.model.times import utc

if TYPE_CHECKING:
    from waybill.cli.terminal import Screen
    from waybill.model.transfer import Transfer
    from waybill.s3.probe.questions import Row

WRITES = "some 30 objects, 11 MiB in all,"
GIVEN = ("endpoint_url", "profile", "region")  # options that are settings of a transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("url", metavar="s3://BUCKET/PREFIX", help="where to write: below PREFIX/waybill-probe/")
    add("--endpoint-url", metavar="URL", help="the store, unless it is Amazon's")
    add("--profile", metavar="NAME", help="profile of the AWS configuration files")
    add("--region", metavar="NAME", help="region of the bucket")
    add("--yes", "-y", action="store_true", help="write without a question")
    add("--json", action="store_true", help="one JSON document, not a table; needs --yes")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Write a few objects, show what the store does and what to set; returns the exit code."""
    from waybill.s3.probe.ask import ask, reach
    from waybill.s3.probe.questions import QUESTIONS, exit_code
    from waybill.s3.probe.store import Store

    settings = {key: getattr(given, key) for key in GIVEN}
    transfer = _transfer(given.url, settings)
    if given.json and not given.yes:
        screen.problem("with --json there is no terminal to ask on: add --yes; nothing was written")
        return EXIT_CONFIG
    screen.progress("Looking for the store ...")
    rows, reached = reach(transfer)
    if reached is not None:
        store = Store(reached)
        where = printable(store.transfer.url)
        if not given.yes:
            if not asks():
                screen.problem("no terminal to ask on: add --yes; nothing was written")
                return EXIT_CONFIG
            screen.line(f"Writes {WRITES} under {where}; deletes nothing.")
            if not screen.ask("Go on?"):
                screen.line("nothing was written")
                return EXIT_OK
        try:
            for row in ask(store):
                rows.append(row)
                screen.progress(f"{len(rows)} of {len(QUESTIONS)}: {row.question.name}")
        finally:
            for key in store.close():
                screen.note(visible(f"{key}: its upload in parts is left open"))
    screen.clear()
    if given.json:
        screen.line(json.dumps(document(transfer, rows, settings), indent=2, ensure_ascii=False))
    else:
        for line in lines(rows, settings):
            screen.line(line)
    return exit_code(rows)


def document(transfer: Transfer, rows: Sequence[Row], given: Mapping[str, Any]) -> dict[str, Any]:
    """The rows as a JSON document, see docs/stores.md."""
    from waybill.s3.probe.questions import exit_code, settings

    return {
        "waybill": __version__,
        "command": "probe",
        "time": utc(),
        "url": transfer.url,
        "exit_code": exit_code(rows),
        "settings": settings(rows, given),
        "rows": [
            {
                "check": row.question.name,
                "asks": row.question.asks,
                "need": row.question.need.value,
                "answer": row.answer.value,
                "found": row.found,
                "advice": row.advice,
            }
            for row in rows
        ],
    }


def lines(rows: Sequence[Row], given: Mapping[str, Any]) -> Iterator[str]:
    """The rows as a table for people, the verdict, and the settings as TOML. What follows from a
    row stands in a line of its own, with an arrow."""
    from waybill.config.check import toml
    from waybill.s3.probe.questions import lacking, settings

    cells = []
    for row in rows:
        cells.append((row.question.name, row.answer.value, visible(row.found)))
        if row.advice:
            cells.append(("", "->", visible(row.advice)))
    yield from table(cells)
    missing = lacking(rows)
    yield ""
    if missing:
        yield f"Waybill cannot use this store: {', '.join(missing)}"
        return
    yield "Waybill works with this store."
    if found := settings(rows, given):
        yield "Settings of a transfer, or of [defaults]:"
        for key, value in found.items():
            yield f"{key} = {visible(toml(value))}"


def _transfer(url: str, given: Mapping[str, Any]) -> Transfer:
    """A transfer to the place that is probed, checked as one of a configuration. Raises
    ConfigError."""
    from waybill.config.build import Builder, Layer
    from waybill.config.check import check_settings

    where = "command line: "
    chosen = {key: value for key, value in given.items() if value is not None}
    checked = check_settings(
        {"source": ".", "destination": url, "publish": False, "accelerate": False, **chosen}, where
    )
    removed = {keys[0] for keys in checked.removed}
    builder = Builder("probe", [Layer(where, checked.valid)], removed, beneath={})
    transfer = builder.build()
    problems = [*checked.problems, *builder.problems]
    if transfer is not None and transfer.direction != "upload":
        problems.append(f"{where}destination: is no address; allowed: s3://bucket/prefix")
    if transfer is None or problems:
        raise ConfigError([problem.replace("destination: ", "") for problem in problems])
    return transfer
