"""Which way a run goes: a route takes it by its samples, or leaves it to another one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

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
    """Whether a route takes a run: ``sample_regex`` is found in every sample (``re.search``).

    Without a regular expression it does, and no sample sheet is looked at. A sheet that is missing
    or cannot be used is a problem then, never a "no".
    """
    if not sample_regex:
        return Decision(Outcome.TAKE, "takes every run")
    try:
        names = samples(run)
    except SheetError as error:
        return Decision(Outcome.PROBLEM, str(error))
    if not names:
        return Decision(Outcome.PROBLEM, f"{run}: no sample sheet, which sample_regex needs")
    matches = re.compile(sample_regex).search
    others = [name for name in names if not matches(name)]
    if not others:
        return Decision(Outcome.TAKE, f'all of {len(names)} samples match "{sample_regex}"')
    named = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
    text = f'{len(others)} of {len(names)} samples do not match "{sample_regex}": {named}'
    return Decision(Outcome.ELSEWHERE, text)


@dataclass(slots=True)
class Routed:
    """Where runs go, each run by the path it was first met at.

    ``taken`` maps a run to its routes, ``several`` those of them with more than one; ``nowhere``
    maps a run that no route takes to the reasons. ``problems`` are runs of which it cannot be told.
    """

    taken: dict[Path, list[str]] = field(default_factory=dict)
    several: dict[Path, list[str]] = field(default_factory=dict)
    nowhere: dict[Path, str] = field(default_factory=dict)
    problems: dict[Path, str] = field(default_factory=dict)


def sort_out(decisions: Iterable[tuple[str, Path, Decision]]) -> Routed:
    """Put together what each route, by its name, decided about each run it has seen.

    Routes may have met a run on different ways, over a symbolic link for example.
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
