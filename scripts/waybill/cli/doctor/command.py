"""``waybill doctor``: looks at machine, cluster and transfers, and shows a table or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from waybill import __version__
from waybill.cli.doctor import machine, slurm, versions
from waybill.cli.doctor.rows import Check, Row, Verdict, count, exit_code, run_checks
from waybill.cli.terminal import table, visible
from waybill.config import read
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, ConfigError, WaybillError
from waybill.model.times import utc
from waybill.stages.run import DEFAULT_TOML

if TYPE_CHECKING:
    from waybill.cli.terminal import Screen
    from waybill.model.transfer import Transfer

CHECK_SECONDS = 60.0  # for each check; S3 is given up sooner

MACHINE, SLURM, TRANSFER, CONFIGURATION = "machine", "slurm", "transfer", "configuration"


class Part(NamedTuple):
    """The rows about one thing: the machine, SLURM, the configuration, or one transfer."""

    scope: str
    transfer: str | None
    rows: list[Row]

    @property
    def title(self) -> str:
        return self.scope if self.transfer is None else f"{self.scope} {self.transfer}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--config", metavar="TOML", help=f"default: {DEFAULT_TOML}, if it exists")
    add("--transfers", metavar="A,B", help="some of its transfers (default: all)")
    add("--local", action="store_true", help="leave SLURM out")
    add("--json", action="store_true", help="one JSON document, not a table")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Look at everything and show the rows. Returns the exit code: 1 when something will not work,
    2 when only the configuration is wrong."""
    transfers, problems = _configured(given)
    screen.progress("Looking ...")
    parts = [*_parts(transfers, local=given.local)]
    parts.append(Part(CONFIGURATION, None, problems or [_configuration(given, transfers)]))
    code = exit_code(row for part in parts if part.scope != CONFIGURATION for row in part.rows)
    if problems and code != EXIT_FAILED:
        code = EXIT_CONFIG
    if given.json:
        screen.line(json.dumps(document(parts, code), indent=2, ensure_ascii=False))
    else:
        for line in lines(parts):
            screen.line(line)
    return code


def document(parts: Iterable[Part], code: int) -> dict[str, Any]:
    """The rows as a JSON document, see docs/doctor.md."""
    return {
        "waybill": __version__,
        "command": "doctor",
        "time": utc(),
        "exit_code": code,
        "rows": [
            {
                "scope": part.scope,
                "transfer": part.transfer,
                "check": row.check,
                "verdict": row.verdict.value,
                "found": row.found,
                "set": row.advice,
            }
            for part in parts
            for row in part.rows
        ],
    }


def lines(parts: Iterable[Part]) -> Iterator[str]:
    """The rows as a table for people. What to set stands in a line of its own, with an arrow."""
    parts = list(parts)
    cells: list[tuple[str, str, str]] = []
    titles: dict[int, str] = {}
    for part in parts:
        titles[len(cells)] = part.title
        for row in part.rows:
            cells.append((row.check, row.verdict.value, visible(row.found)))
            if row.advice:
                cells.append(("", "->", visible(row.advice)))
    for number, line in enumerate(table(cells)):
        if number in titles:
            yield titles[number]
        yield f"  {line}"
    yield count(row for part in parts for row in part.rows)


def _configured(given: argparse.Namespace) -> tuple[dict[str, Transfer], list[Row]]:
    """The transfers that were asked for, and a row for each mistake of the configuration. Without
    a configuration that is named there may be none."""
    if given.config is None and not given.transfers and not Path(DEFAULT_TOML).exists():
        return {}, []
    names = [name.strip() for name in (given.transfers or "").split(",")]
    try:
        found = read.load(given.config or DEFAULT_TOML, transfers=[name for name in names if name])
    except WaybillError as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        return {}, [Row("configuration", Verdict.FAIL, problem) for problem in problems]
    return found, []


def _configuration(given: argparse.Namespace, transfers: dict[str, Transfer]) -> Row:
    if not transfers:
        text = f"there is no {DEFAULT_TOML}, so no transfer was looked at"
        return Row("configuration", Verdict.UNTOLD, text, "name one with --config TOML")
    text = f"{given.config or DEFAULT_TOML}: {', '.join(transfers)}"
    return Row("configuration", Verdict.OK, text)


def _parts(transfers: dict[str, Transfer], *, local: bool) -> Iterator[Part]:
    """The rows of every check but those of the configuration. All checks are made at one time."""
    scopes: list[tuple[str, str | None, list[Check]]] = [(MACHINE, None, _of_machine(transfers))]
    if not local:
        scopes.append((SLURM, None, _of_slurm(transfers)))
    scopes += [(TRANSFER, name, of_transfer(each)) for name, each in transfers.items()]
    checks = [check for _, _, some in scopes for check in some]
    found = iter(run_checks(checks, CHECK_SECONDS))
    for scope, name, some in scopes:
        yield Part(scope, name, [row for _ in some for row in next(found)])


def _of_machine(transfers: dict[str, Transfer]) -> list[Check]:
    checks = [
        Check("versions", versions.check),
        Check("locale", machine.check_locale),
        Check("working folder", machine.check_working_folder),
        Check("cache", machine.check_cache),
        Check("temporary files", machine.check_temporary),
    ]
    return checks if transfers else [*checks, Check("locks", machine.check_locks)]


def _of_slurm(transfers: dict[str, Transfer]) -> list[Check]:
    checks = [Check("slurm", slurm.check)]
    if slurm.is_installed():
        checks.append(Check("slurm executor", versions.check_executor))
        folders = dict.fromkeys(transfer.results.parent for transfer in transfers.values())
        for folder in folders or [Path.cwd()]:
            checks.append(Check("results on nodes", lambda at=folder: machine.check_shared(at)))
    return checks


def of_transfer(transfer: Transfer) -> list[Check]:
    """The checks of one transfer: its folder, its results, its bucket."""
    if transfer.direction == "upload":
        folder = Check("source", lambda: machine.check_source(transfer))
    else:
        folder = Check("destination", lambda: machine.check_destination(transfer))
    return [
        folder,
        Check("results", lambda: machine.check_results(transfer)),
        Check("bucket", lambda: _of_bucket(transfer)),
    ]


def _of_bucket(transfer: Transfer) -> Iterator[Row]:
    from waybill.cli.doctor import bucket  # loads botocore

    return bucket.check(transfer)
