"""``waybill run``: the plan, a question, and the run."""

from __future__ import annotations

import argparse

from waybill import __version__
from waybill.cli import documents
from waybill.cli.commands import options, plan
from waybill.cli.commands.plan import open_session, show, tell
from waybill.cli.estimate import Budget
from waybill.cli.launch import Ended
from waybill.cli.plan import Plan
from waybill.cli.session import Session
from waybill.cli.terminal import Screen, asks, printable, visible
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, worst
from waybill.model.transfer import Transfer
from waybill.model.verbs import verb_of
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
    budget = Budget.of(given)
    session, transfers = open_session(screen, given)
    screen.event("begin", waybill=__version__, transfers=list(transfers))
    ended, plans = _plan(screen, session, budget, hashes=given.hash)
    codes = [ended.code]
    if not given.yes and _depends_on_hashes(plans):
        screen.line("Nothing else is to be moved, so they are compared before the question")
        ended, plans = _plan(screen, session, budget, hashes=True)
        codes.append(ended.code)
    if len(plans) < len(transfers):
        session.notify_without_plan(ended, plans)
    if ended.signal or not plans:
        return ended.code or EXIT_FAILED
    for name, its_plan in plans.items():
        told = documents.of_plan(transfers[name], its_plan, (), entries=False)
        screen.event("plan", transfer=told)
    if not given.yes and any(its_plan.moves for its_plan in plans.values()):
        if screen.json or not asks():
            verb = verb_of(transfers[name] for name in plans if plans[name].moves)
            screen.problem(f"no terminal to ask on: add --yes; nothing {verb.done}")
            return EXIT_CONFIG
        if not _agreed(screen, transfers, plans):
            return EXIT_OK
    second = session.run(plans)
    tell(screen, session.failed(second))
    if second.signal:
        return second.code
    codes.insert(0, second.code)
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


def _plan(
    screen: Screen, session: Session, budget: Budget, *, hashes: bool
) -> tuple[Ended, dict[str, Plan]]:
    """Make the plans and show them."""
    ended, plans = session.plan(hashes=hashes)
    tell(screen, session.failed(ended))
    if not ended.signal:
        for name, its_plan in plans.items():
            show(screen, session, session.transfers[name], its_plan, budget)
    return ended, plans


def _depends_on_hashes(plans: dict[str, Plan]) -> bool:
    """Whether only hashes could tell if there is anything to ask about."""
    return not any(p.moves for p in plans.values()) and any(p.unsure for p in plans.values())


def _agreed(screen: Screen, transfers: dict[str, Transfer], plans: dict[str, Plan]) -> bool:
    """Whether the user wants the run. What a hash has to tell first is named in the question."""
    moving = [transfers[name] for name, its_plan in plans.items() if its_plan.moves]
    verb = verb_of(moving)
    moves = sum(len(its_plan.moves) for its_plan in plans.values())
    unsure = sum(len(its_plan.unsure) for its_plan in plans.values())
    what = f"{moves} file(s)" + (f", and what has changed of {unsure} more," if unsure else "")
    places = [transfer.destination for transfer in moving]
    where = places[0] if len(places) == 1 else f"{len(places)} destinations"
    if screen.ask(f"{verb.plain} {what} to {printable(where)}?"):
        return True
    screen.line(f"nothing {verb.done}")
    return False
