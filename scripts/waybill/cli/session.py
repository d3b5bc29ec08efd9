"""The two steps of a command: the plan, and after a yes the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from waybill import notify
from waybill.cli import plan as planning
from waybill.cli.launch import Ended, Launch
from waybill.cli.plan import Plan
from waybill.cli.progress import arrived
from waybill.cli.terminal import Screen, printable, table, visible
from waybill.model.errors import EXIT_EMPTY, EXIT_INTERRUPTED, EXIT_OK, WaybillError
from waybill.model.transfer import Transfer
from waybill.model.units import format_size
from waybill.model.verbs import verb_of
from waybill.results import failures, outcome, state
from waybill.results.forecast import CLOSING, LOOKING, Forecast
from waybill.results.layout import Layout
from waybill.results.outcome import Asked
from waybill.system.files import identity
from waybill.system.locks import lock

_FAILED = "FAILED "


@dataclass(slots=True)
class Session:
    """One command at work on some transfers, whose results it holds (``hold_results``)."""

    screen: Screen
    launch: Launch
    transfers: dict[str, Transfer]
    layouts: dict[str, Layout] = field(init=False)
    _runs: dict[str, str] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        folder = self.launch.directory
        self.layouts = {name: Layout(folder / t.results) for name, t in self.transfers.items()}

    def plan(self, *, hashes: bool = True, forced: bool = False) -> tuple[Ended, dict[str, Plan]]:
        """Run target ``plan``. Returns how it ended, and the plans of the transfers that have one.
        A later plan of the same session is made from the same inventory. With ``hashes`` a plan
        reads what only a hash could tell. ``forced`` is as in ``cli.plan.read``."""
        before = {name: identity(layout.plan) for name, layout in self.layouts.items()}
        ended = self._launch("plan", list(self.layouts), hash=hashes)
        plans = {}
        for name, layout in self.layouts.items():
            if identity(layout.plan) not in (None, before[name]):
                plans[name] = planning.read(layout.plan, forced=forced)
                self._runs[name] = state.read(layout).run
        return ended, plans

    def run(self, plans: dict[str, Plan]) -> Ended:
        """Run exactly what the plans say, with the same inventory. Raises WaybillError when another
        run has taken an inventory meanwhile."""
        for name in plans:
            if state.read(self.layouts[name]).run != self._runs[name]:
                raise WaybillError(f"{name}: another run has looked here meanwhile; run again")
        return self._launch("all", list(plans))

    def _launch(self, target: str, names: list[str], **settings: Any) -> Ended:
        """Make a target, and show how far it is."""
        launch = replace(self.launch, settings={**self.launch.settings, **settings})
        forecast = Forecast(
            [self.layouts[name] for name in names],
            verb_of(self.transfers.values()).doing,
            since=time.time(),
        )
        self.screen.progress(LOOKING if target == "plan" else CLOSING)
        ended = launch.run(target, names, lambda: self.screen.progress(forecast.look()))
        self.screen.clear()
        return ended

    def notify_without_plan(self, ended: Ended, plans: dict[str, Plan]) -> None:
        """Send the notifications about transfers without a plan. Target ``plan`` sends none, and
        there is no run for these transfers that would."""
        lost = {
            name: replace(transfer, results=self.layouts[name].root)
            for name, transfer in self.transfers.items()
            if name not in plans
        }
        codes = {n: outcome.read(t, self.layouts[n]).code(Asked.PART) for n, t in lost.items()}
        if not ended.signal:
            notify.after_run(lost, codes, code=ended.code, success=False)

    def moved(self, plans: dict[str, Plan]) -> tuple[int, int]:
        """Files and bytes of the plans that have arrived."""
        counts = [arrived(self.layouts[name], plan) for name, plan in plans.items()]
        return sum(files for files, _ in counts), sum(size for _, size in counts)

    def failed(self, ended: Ended) -> list[tuple[str, str]]:
        """What went wrong, as (transfer, line), without what an earlier call has returned."""
        found: list[tuple[str, str]] = []
        last = [said for said in ended.said if not said.stage]
        named = {(s.transfer, s.text.removeprefix(_FAILED)) for s in last}
        found += [(s.transfer, s.text) for s in last if s.text.startswith(_FAILED)]
        found += [
            (s.transfer, s.text)
            for s in ended.said
            if s.stage and (s.transfer, s.text) not in named
        ]
        if ended.signal:
            found.append(("", _interrupted(ended)))
        elif ended.code not in (EXIT_OK, EXIT_EMPTY) and not found:
            found += [(s.transfer, s.text) for s in last]
            found.append(("", f"the workflow failed; its log is {self.launch.log}"))
        fresh = [item for item in dict.fromkeys(found) if item not in self._told]
        self._told.update(fresh)
        return fresh

    def refused(self, name: str, plan: Plan) -> list[tuple[str, str]]:
        """The entries that a plan refuses and that have no failure: (path, reason)."""
        failed = {failure.path for failure in failures.read(self.layouts[name])}
        return [(path, reason) for path, reason in plan.refused if path not in failed]

    def logs(self) -> Iterator[str]:
        """The jobs' own logs, as lines."""
        for layout in self.layouts.values():
            for path in sorted(layout.root.glob("logs/**/*.log")):
                yield f"--- {path}"
                yield from path.read_text(encoding="utf-8", errors="replace").splitlines()


def hold_results(layout: Layout) -> None:
    """Lock these results against other commands until this process ends, so that no other command
    makes a new plan while a question waits. (Snakemake runs have another lock.)

    Raises WaybillError when another command holds them.
    """
    lock(layout.root / ".door.lock")


def plan_lines(
    plan: Plan,
    refused: list[tuple[str, str]],
    *,
    most: int | None = None,
    largest_first: bool = False,
) -> list[str]:
    """The plan as a table for people; ``most`` rows at most."""
    moves = [*plan.moves, *plan.unsure]
    if largest_first:
        moves.sort(key=lambda move: -move.size)
    hashed = any(move.sha256 for move in moves)  # files to be downloaded are not
    rows = [("file", "size", "reason", "SHA-256" if hashed else "")]
    shown = moves if most is None else moves[: most + 1]
    rows += [(printable(m.path), format_size(m.size), m.what, m.sha256[:16]) for m in shown]
    rows += [(printable(path), "", f"refused: {visible(reason)}", "") for path, reason in refused]
    more = 0
    if most is not None and len(rows) - 1 > most:
        more = len(moves) + len(refused) - most
        del rows[most + 1 :]
    total = (f"{len(plan.moves)} file(s)", format_size(plan.size), "", "")
    lines = table([*rows, total], right={1})
    lines.insert(len(lines) - 1, "-" * max(map(len, lines)))
    if more:
        lines.insert(len(lines) - 2, f"... and {more} more")
    return lines


def _interrupted(ended: Ended) -> str:
    how = "interrupted" if ended.code == EXIT_INTERRUPTED else "ended by a signal"
    if ended.target == "plan":
        return f"{how}; nothing moved"
    return f"{how}; what has arrived stays proven, the same command goes on from there"
