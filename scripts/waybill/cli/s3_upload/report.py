"""The lines of ``s3-upload`` about a run of the workflow, from the results of that run."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from waybill.cli.launch import Ended
from waybill.model.escaping import escape, unescape
from waybill.model.transfer import Transfer
from waybill.presets.illumina import routing
from waybill.presets.illumina.datasets import COMPLETED
from waybill.presets.illumina.instrument import Phase
from waybill.presets.illumina.routing import Decision, Outcome, Routed
from waybill.results import closing_lines, failures, state
from waybill.results.batch_tables import ASIDE_COLUMNS
from waybill.results.layout import FOUND, Layout
from waybill.system.tsv import rows

MOST_NAMED = 20

NOTHING = "No sequencing runs requiring upload found. Exiting now."  # in the words of the seed

_SKIPPED, _HELD, _FAILED = "skipped: ", "held back: ", "FAILED "
_DATASET = re.compile(r"[^/:]+(?=[/:])")


class Line(NamedTuple):
    """A line for the log, with its level."""

    level: int
    text: str


def conclusion(transfer: Transfer, layout: Layout) -> tuple[list[Line], int]:
    """The lines about failures and waiting runs of one transfer, and its exit code."""
    lines, code = closing_lines.conclude(transfer, layout)
    found = []
    for line in lines:
        if line.startswith(_FAILED):
            found.append(Line(logging.ERROR, line))
        elif line.startswith(_HELD):
            found.append(held(line.removeprefix(_HELD)))
        elif line.startswith("and "):
            found.append(Line(logging.INFO, line))
    return found, code


def held(text: str) -> Line:
    """A line about a run that waits. It is a warning if the run will not be taken by itself."""
    alone = "max_age" not in text and not text.startswith(f"{Phase.ABORTED}: ")
    level = logging.INFO if alone else logging.WARNING
    return Line(level, f"{_HELD}{text}")


def once(lines: Mapping[str, Iterable[Line]], places: Mapping[str, str]) -> list[Line]:
    """The lines of several transfers, each line once. A line about a run begins with the run, so
    all sections that monitor its folder have the same line. Any other begins with the place of its
    section, an address that ``places`` gives by the name of the transfer."""
    found = [
        line
        if line.text.startswith((_HELD, _FAILED))
        else Line(line.level, f"{places[name]}: {line.text}")
        for name, its_lines in lines.items()
        for line in its_lines
    ]
    return list(dict.fromkeys(found))


def of_runs(
    lines: Mapping[str, Iterable[Line]], layouts: Mapping[str, Layout]
) -> dict[str, list[Line]]:
    """The lines of several transfers, with the folder of a run in place of its name where two
    sequencers have given two runs the same name."""
    places = {name: state.read(layout).places for name, layout in layouts.items()}
    folders: dict[str, set[str]] = {}
    for its_places in places.values():
        for run, place in its_places.items():
            folders.setdefault(run, set()).add(place.folder)
    found: dict[str, list[Line]] = {}
    for name, its_lines in lines.items():
        known = {run: p.folder for run, p in places[name].items() if len(folders[run]) > 1}
        found[name] = [_with_folder(line, known) for line in its_lines]
    return found


def _with_folder(line: Line, folders: Mapping[str, str]) -> Line:
    rest = line.text.removeprefix(_FAILED)
    run = _DATASET.match(rest)
    folder = folders.get(unescape(run[0])) if run and line.text != rest else None
    if run is None or folder is None:
        return line
    return Line(line.level, f"{_FAILED}{escape(folder)}{rest[run.end() :]}")


def notes(
    ended: Iterable[Ended], layouts: Mapping[str, Layout], places: Mapping[str, str]
) -> Iterator[Line]:
    """What jobs said apart from their failures, which other lines name. ``places`` is as in
    ``once``."""
    known = {str(f) for layout in layouts.values() for f in failures.read(layout)}
    said = [said for one in ended for said in one.said if said.stage]
    for transfer, _, text in dict.fromkeys(said):
        if text not in known:
            yield Line(logging.WARNING, f"{places[transfer]}: {text}")


def routes(layouts: Mapping[str, Layout], places: Mapping[str, str]) -> Iterator[Line]:
    """The runs that no section takes, and those that several do. ``places`` is as in ``once``."""
    decisions = [
        (name, run, decision)
        for name, layout in layouts.items()
        for run, decision in _decisions(layout)
    ]
    yield from of_routes(routing.sort_out(decisions), places.__getitem__)


def of_routes(routed: Routed, shown: Callable[[str], str]) -> Iterator[Line]:
    """Lines about routing. ``shown`` makes the text for a route from its name."""
    several = (
        Line(logging.WARNING, f"{run}: goes {len(ways)} ways: {', '.join(map(shown, ways))}")
        for run, ways in routed.several.items()
    )
    nowhere = (
        Line(logging.INFO, f"{run}: taken by no section of monitor: {reason}")
        for run, reason in routed.nowhere.items()
    )
    for lines in (list(several), list(nowhere)):
        yield from lines[:MOST_NAMED]
        if len(lines) > MOST_NAMED:
            yield Line(lines[0].level, f"and {len(lines) - MOST_NAMED} more such runs")


def _decisions(layout: Layout) -> Iterator[tuple[Path, Decision]]:
    """The decision of one transfer about each run, from its last inventory. A run that waits counts
    as a problem."""
    for place in state.read(layout).places.values():
        yield Path(place.folder), Decision(Outcome.TAKE, "")
    table = layout.aside(FOUND)
    for _, path, _, reason in rows(table, ASIDE_COLUMNS) if table.exists() else ():
        if reason.startswith(_HELD):
            yield Path(unescape(path)), Decision(Outcome.PROBLEM, reason)
        elif reason.startswith(_SKIPPED) and not reason.startswith(_SKIPPED + COMPLETED):
            yield Path(unescape(path)), Decision(Outcome.ELSEWHERE, reason.removeprefix(_SKIPPED))
    for failure in failures.read(layout, "inventory.tsv"):
        if failure.path.startswith("/"):
            yield Path(failure.path), Decision(Outcome.PROBLEM, failure.message)
