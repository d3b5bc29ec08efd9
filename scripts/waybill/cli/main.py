"""The command ``waybill``: plan, question and run for a configuration that the user writes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from waybill import __version__
from waybill.cli import find as finding
from waybill.cli import status as standing
from waybill.cli import verify as verifying
from waybill.cli.launch import Launch
from waybill.cli.plan import Plan
from waybill.cli.probe import command as probing
from waybill.cli.session import Session, hold_results, plan_lines
from waybill.cli.starter import STARTER
from waybill.cli.terminal import Screen, asks, guarded, printable, visible
from waybill.config import read
from waybill.config.check import dotted, properties, toml
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, WaybillError, worst
from waybill.model.transfer import Transfer
from waybill.presets import registry
from waybill.results import closing_lines
from waybill.results.layout import Layout
from waybill.stages.run import DEFAULT_TOML

PROGRAM = "waybill"
MOST_ROWS = 50  # of a plan on the screen; all are in plan.tsv


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help()
        return EXIT_OK
    return guarded(PROGRAM, lambda screen: given.command(screen, given))


def plan(screen: Screen, given: argparse.Namespace) -> int:
    """Show what a run would do."""
    session, transfers = _session(screen, given)
    ended, plans = session.plan()
    _tell(screen, session.failed(ended))
    for name, its_plan in plans.items():
        _show(screen, session, transfers[name], its_plan)
    return ended.code


def run(screen: Screen, given: argparse.Namespace) -> int:
    """Show the plan, ask, run."""
    session, transfers = _session(screen, given)
    ended, plans = session.plan()
    _tell(screen, session.failed(ended))
    if len(plans) < len(transfers):
        session.notify_without_plan(ended, plans)
    if ended.signal or not plans:
        return ended.code or EXIT_FAILED
    for name, its_plan in plans.items():
        _show(screen, session, transfers[name], its_plan)
    moves = sum(len(its_plan.moves) for its_plan in plans.values())
    if moves and not given.yes:
        moving = [transfers[name] for name, its_plan in plans.items() if its_plan.moves]
        verb, done = _words(moving)
        if not asks():
            screen.problem(f"no terminal to ask on: add --yes; nothing {done}")
            return EXIT_CONFIG
        places = [transfer.destination for transfer in moving]
        where = places[0] if len(places) == 1 else f"{len(places)} destinations"
        if not screen.ask(f"{verb} {moves} file(s) to {printable(where)}?"):
            screen.line(f"nothing {done}")
            return EXIT_OK
    second = session.run(plans)
    _tell(screen, session.failed(second))
    if second.signal:
        return second.code
    codes = [second.code, ended.code]
    for name in plans:
        lines, code = closing_lines.conclude(transfers[name], session.layouts[name])
        codes.append(code)
        for line in lines:
            if not line.startswith("FAILED "):  # was printed already
                screen.line(visible(f"{name}: {line}"))
    # A run that has nothing to do does not tell what went wrong in the plan.
    return worst(codes)


def _words(transfers: list[Transfer]) -> tuple[str, str]:
    """The verb for what a run does, and its participle: ``Upload``, ``uploaded``."""
    directions = {transfer.direction for transfer in transfers}
    if len(directions) > 1:
        return "Move", "moved"
    return ("Upload", "uploaded") if directions == {"upload"} else ("Download", "downloaded")


def status(screen: Screen, given: argparse.Namespace) -> int:
    """What the last run left of each transfer; 0 only when all of its source is proven."""
    codes = []
    for name, lines, code in standing.total(_transfers(given)):
        codes.append(code)
        for line in lines:
            screen.line(visible(f"{name}: {line}"))
    return worst(codes)


def show_config(screen: Screen, given: argparse.Namespace) -> int:
    """The settings of each transfer, every one decided, as TOML."""
    for name, transfer in _transfers(given).items():
        screen.line(f"[transfers.{name}]")
        secret = {key for key, rules in properties().items() if rules.get("x-secret")}
        for key, rules in registry.get(transfer.preset).settings.items():
            if rules.get("x-secret"):
                secret.add(dotted([transfer.preset, key]))
        for key, value in _settings(transfer).items():
            if key in secret:
                screen.line(f"# {key} is set and not shown")
            else:
                screen.line(f"{key} = {_toml(value)}")
        if transfer.publish_prefix is not None:
            screen.line(f"# manifests: s3://{transfer.bucket}/{transfer.publish_prefix}")
        screen.line()
    return EXIT_OK


def doctor(screen: Screen, given: argparse.Namespace) -> int:
    """What machine, cluster and buckets let a run do, what will hurt it, and what to set."""
    from waybill.cli.doctor.command import examine

    return examine(screen, given)


def init(screen: Screen, given: argparse.Namespace) -> int:
    """Write a starter configuration where there is none."""
    path = Path(given.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        text = f"{path}: is there already; nothing written"
        raise WaybillError(text, exit_code=EXIT_CONFIG) from None
    screen.line(f"Written to {printable(str(path))}; fill it in, then `{PROGRAM} plan`")
    return EXIT_OK


def _transfers(given: argparse.Namespace) -> dict[str, Transfer]:
    names = [name.strip() for name in (given.transfers or "").split(",")]
    return read.load(given.config, transfers=[name for name in names if name])


def _session(screen: Screen, given: argparse.Namespace) -> tuple[Session, dict[str, Transfer]]:
    transfers = _transfers(given)
    here = Path.cwd()
    log = here / ".snakemake" / "waybill.log"
    log.unlink(missing_ok=True)
    launch = Launch(here, str(given.config), log, cores=given.cores)
    session = Session(screen, launch, transfers)
    for layout in session.layouts.values():
        hold_results(layout)
    return session, transfers


def _tell(screen: Screen, failed: list[tuple[str, str]]) -> None:
    for name, line in failed:
        screen.problem(visible(f"{name}: {line}" if name else line))


def _show(screen: Screen, session: Session, transfer: Transfer, its_plan: Plan) -> None:
    way = f"{printable(transfer.source)} -> {printable(transfer.destination)}"
    screen.line(f"{transfer.name}: {way}")
    refused = session.refused(transfer.name, its_plan)
    if its_plan.moves or refused:
        for line in plan_lines(its_plan, refused, most=MOST_ROWS):
            screen.line(f"  {line}")
        if len(its_plan.moves) + len(refused) > MOST_ROWS:
            screen.line(f"  all of it: {printable(str(Layout(transfer.results).plan))}")
    notes = {
        "up to date": len(its_plan.same),
        "refused": len(its_plan.refused),
        "held back": len(its_plan.held),
        "skipped": len(its_plan.skipped),
        "only at the destination": its_plan.only_there,
    }
    text = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
    screen.line(f"  {text or 'no files'}" if text or not its_plan.moves else "")


def _toml(value: Any) -> str:
    """A value as TOML writes it, in characters that a terminal does not obey."""
    escapes = (c if c.isprintable() else f"\\U{ord(c):08x}" for c in toml(value))
    return "".join(escapes)


def _settings(transfer: Transfer) -> dict[str, Any]:
    """The settings of a transfer under the names they have in a configuration."""
    found: dict[str, Any] = {}
    for key in properties():
        value = getattr(transfer, key, None)
        match key:
            case "batch":
                found |= {f"batch.{k}": getattr(transfer, k) for k in ("max_files", "max_bytes")}
            case "verify":
                found["verify.depth"] = transfer.verify_depth
                found["verify.sample"] = "/".join(map(str, transfer.verify_sample))
                if transfer.verify_against is not None:
                    found["verify.against"] = str(transfer.verify_against)
            case "results":
                found[key] = str(transfer.results.parent)
            case "publish" if transfer.publish_prefix is None:
                found[key] = False
            case "source" if transfer.folders:
                found[key] = [str(folder) for folder in transfer.folders]
            case "tags":
                found |= {dotted([key, k]): item for k, item in transfer.tags.items()}
            case _ if value is not None:
                found[key] = value
    table = transfer.preset_settings
    return found | {dotted([transfer.preset, k]): item for k, item in table.items()}


def _parser() -> argparse.ArgumentParser:
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
    for name, command in (
        ("plan", plan),
        ("run", run),
        ("status", status),
        ("config", show_config),
    ):
        sub = commands.add_parser(
            name, help=command.__doc__, description=command.__doc__, allow_abbrev=False
        )
        sub.set_defaults(command=command)
        add = sub.add_argument
        add("--config", metavar="TOML", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")
        add("--transfers", metavar="A,B", help="some of its transfers (default: all)")
        if name in ("plan", "run"):
            add("--cores", metavar="N", type=_cores, help="CPU cores to use (default: all)")
        if name == "run":
            add("--yes", "-y", action="store_true", help="move without a question")
    verifying.add_parser(commands, _cores)
    finding.add_parser(commands)
    sub = commands.add_parser(
        "doctor", help=doctor.__doc__, description=doctor.__doc__, allow_abbrev=False
    )
    sub.set_defaults(command=doctor)
    sub.add_argument("--config", metavar="TOML", help=f"default: {DEFAULT_TOML}, if it exists")
    sub.add_argument("--transfers", metavar="A,B", help="some of its transfers (default: all)")
    sub.add_argument("--local", action="store_true", help="leave SLURM out")
    sub.add_argument("--json", action="store_true", help="one JSON document, not a table")
    probing.add_parser(commands)
    sub = commands.add_parser("init", help=init.__doc__, description=init.__doc__)
    sub.set_defaults(command=init)
    sub.add_argument("path", nargs="?", default=DEFAULT_TOML, help=f"default: {DEFAULT_TOML}")
    return parser


def _cores(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
