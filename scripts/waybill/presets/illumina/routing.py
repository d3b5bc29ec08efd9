"""Routing: whether a route takes a run because of its samples, or leaves it to another route."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from waybill.model.regexes import SlowRegexError, searcher
from waybill.presets.illumina.sample_sheet import SheetError, samples

_NAMED = 3  # samples that a message names


class Outcome(StrEnum):
    """What a route does with a run."""

    TAKE = "take"
    ELSEWHERE = "not this route"
    PROBLEM = "problem"


class Decision(NamedTuple):
    """What a route does with a run, and why in words."""

    outcome: Outcome
    reason: str


def decide(run: Path, sample_regex: str | None) -> Decision:
    """Whether a route takes a run: ``sample_regex`` must be found in every sample (``re.search``).

    Without a regular expression it takes every run, and no sample sheet is read. With one, a sheet
    that is missing or cannot be used is a problem, never a "no", and so is a regular expression
    that takes too long for a sample.
    """
    if not sample_regex:
        return Decision(Outcome.TAKE, "takes every run")
    try:
        names = samples(run)
    except SheetError as error:
        return Decision(Outcome.PROBLEM, str(error))
    if not names:
        return Decision(Outcome.PROBLEM, f"{run}: no sample sheet, which sample_regex needs")
    matches = searcher(sample_regex)
    try:
        others = [name for name in names if not matches(name)]
    except SlowRegexError as error:
        return Decision(Outcome.PROBLEM, f"{run}: sample_regex: {error}")
    if not others:
        return Decision(Outcome.TAKE, f'all of {len(names)} samples match "{sample_regex}"')
    named = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
    text = f'{len(others)} of {len(names)} samples do not match "{sample_regex}": {named}'
    return Decision(Outcome.ELSEWHERE, text)


@dataclass(slots=True)
class Routed:
    """The routes of runs. A run is named by the path at which it was first met.

    ``taken`` maps a run to its routes; ``several`` has the runs with more than one route.
    ``nowhere`` maps a run that no route takes to the reasons. ``problems`` maps a run that cannot
    be decided to the reason.
    """

    taken: dict[Path, list[str]] = field(default_factory=dict)
    several: dict[Path, list[str]] = field(default_factory=dict)
    nowhere: dict[Path, str] = field(default_factory=dict)
    problems: dict[Path, str] = field(default_factory=dict)


def sort_out(decisions: Iterable[tuple[str, Path, Decision]]) -> Routed:
    """Combine the decisions of all routes: (name of the route, run, decision).

    Routes may have met a run at different paths, for example through a symbolic link.
    """
    routed = Routed()
    first_met: dict[str, Path] = {}
    refused: dict[Path, list[str]] = {}
    for route, run, decision in decisions:
        run = first_met.setdefault(os.path.realpath(run), run)
        if decision.outcome is Outcome.TAKE:
            routed.taken.setdefault(run, []).append(route)
        elif decision.outcome is Outcome.ELSEWHERE:
            refused.setdefault(run, []).append(decision.reason)
        else:
            routed.problems.setdefault(run, decision.reason)
    routed.several = {run: routes for run, routes in routed.taken.items() if len(routes) > 1}
    for run, reasons in refused.items():
        if run not in routed.taken and run not in routed.problems:
            routed.nowhere[run] = "; ".join(dict.fromkeys(reasons))
    return routed
