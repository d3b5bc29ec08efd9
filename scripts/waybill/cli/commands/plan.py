"""``waybill plan``: what a run would do."""

from __future__ import annotations

import argparse
from pathlib import Path

from waybill.cli import documents, estimate
from waybill.cli.commands import options
from waybill.cli.estimate import Budget
from waybill.cli.launch import Launch
from waybill.cli.plan import Plan
from waybill.cli.session import Session, hold_results, plan_lines
from waybill.cli.terminal import Screen, printable, visible
from waybill.model.transfer import Transfer
from waybill.results import closing_lines, state
from waybill.results.layout import Layout

MOST_ROWS = 50  # of a plan on the screen; all are in plan.tsv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_transfers(parser)
    options.add_plan(parser)
    options.add_quiet(parser)
    options.add_json(parser)
    options.add_snakemake(parser)


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show what a run would do; returns the exit code."""
    budget = Budget.of(given)
    session, transfers = open_session(screen, given)
    ended, plans = session.plan(hashes=given.hash)
    tell(screen, session.failed(ended))
    for name, its_plan in plans.items():
        show(screen, session, transfers[name], its_plan, budget)
    screen.data["transfers"] = [
        documents.of_plan(transfers[name], plan, session.refused(name, plan), entries=True)
        for name, plan in plans.items()
    ]
    return ended.code


def open_session(screen: Screen, given: argparse.Namespace) -> tuple[Session, dict[str, Transfer]]:
    """The session of a command, which holds the results of its transfers, and the transfers."""
    transfers = options.transfers(given, writes=True)
    here = Path.cwd()
    log = here / ".snakemake" / "waybill.log"
    log.unlink(missing_ok=True)
    launch = Launch(
        here, str(given.config), log, cores=given.cores, options=options.launch_options(given)
    )
    session = Session(screen, launch, transfers)
    for layout in session.layouts.values():
        hold_results(layout)
    return session, transfers


def tell(screen: Screen, failed: list[tuple[str, str]]) -> None:
    """Show what went wrong: pairs of a transfer and a line."""
    for name, line in failed:
        screen.problem(visible(f"{name}: {line}" if name else line))


def show(
    screen: Screen, session: Session, transfer: Transfer, its_plan: Plan, budget: Budget
) -> None:
    """Show the plan of a transfer, the largest files first, and what a run of it takes."""
    way = f"{printable(transfer.source)} -> {printable(transfer.destination)}"
    screen.line(f"{transfer.name}: {way}")
    refused = session.refused(transfer.name, its_plan)
    rows = len(its_plan.moves) + len(its_plan.unsure) + len(refused)
    if rows:
        if reasons := its_plan.reasons():
            screen.line(f"  {reasons}")
        for line in plan_lines(its_plan, refused, most=MOST_ROWS, largest_first=True):
            screen.line(f"  {line}")
        if rows > MOST_ROWS:
            screen.line(f"  all of it: {printable(str(Layout(transfer.results).plan))}")
    notes = {
        "up to date": len(its_plan.same),
        "refused": len(its_plan.refused),
        "held back": len(its_plan.held),
        "skipped": len(its_plan.skipped),
        "only at the destination": its_plan.only_there,
    }
    text = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
    if not next(its_plan.paths(), None):
        unmatched = state.read(session.layouts[transfer.name]).unmatched
        why = closing_lines.none_selected(transfer, unmatched)
        screen.line("  no files" + (f": {why}" if why else ""))
    if text or rows:
        screen.line(f"  {text}" if text else "")
    layout = session.layouts[transfer.name]
    for line in estimate.lines(its_plan, transfer, layout, budget):
        screen.line(f"  {visible(line)}")
