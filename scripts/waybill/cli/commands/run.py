"""``waybill run``: the plan, a question, and the run."""

from __future__ import annotations

import argparse

from waybill import __version__
from waybill.cli import documents
from waybill.cli.commands import options, plan
from waybill.cli.commands.plan import open_session, show, tell
from waybill.cli.terminal import Screen, asks, printable, visible
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, worst
from waybill.model.transfer import Transfer
from waybill.results import closing_lines, run_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_run(parser)
    options.add_quiet(parser)
    options.add_json(parser, "events, a line of JSON each")
    options.add_snakemake(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show the plan, ask, run; returns the exit code."""
    if given.dry_run:
        return plan.command(screen, given)
    session, transfers = open_session(screen, given)
    screen.event("begin", waybill=__version__, transfers=list(transfers))
    ended, plans = session.plan()
    tell(screen, session.failed(ended))
    if len(plans) < len(transfers):
        session.notify_without_plan(ended, plans)
    if ended.signal or not plans:
        return ended.code or EXIT_FAILED
    for name, its_plan in plans.items():
        show(screen, session, transfers[name], its_plan)
        told = documents.of_plan(transfers[name], its_plan, (), entries=False)
        screen.event("plan", transfer=told)
    moves = sum(len(its_plan.moves) for its_plan in plans.values())
    if moves and not given.yes:
        moving = [transfers[name] for name, its_plan in plans.items() if its_plan.moves]
        verb, done = _words(moving)
        if screen.json or not asks():
            screen.problem(f"no terminal to ask on: add --yes; nothing {done}")
            return EXIT_CONFIG
        places = [transfer.destination for transfer in moving]
        where = places[0] if len(places) == 1 else f"{len(places)} destinations"
        if not screen.ask(f"{verb} {moves} file(s) to {printable(where)}?"):
            screen.line(f"nothing {done}")
            return EXIT_OK
    second = session.run(plans)
    tell(screen, session.failed(second))
    if second.signal:
        return second.code
    codes = [second.code, ended.code]
    for name in plans:
        lines, code = closing_lines.conclude(transfers[name], session.layouts[name])
        codes.append(code)
        told = documents.of_outcome(transfers[name], session.layouts[name], code)
        screen.event("outcome", transfer=told)
        for line in [*run_lines.lines(session.layouts[name]), *lines]:
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
