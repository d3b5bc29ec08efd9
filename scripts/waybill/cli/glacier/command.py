"""The command ``sync-from-s3``: the satellite data of the Greenland glacier flow project."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from waybill.cli import state_folder
from waybill.cli.glacier import config
from waybill.cli.glacier import screen as glacier_screen
from waybill.cli.glacier import transfers as glacier_transfers
from waybill.cli.glacier.arguments import PROGRAM, WORDS, Wish, parse
from waybill.cli.launch import Ended
from waybill.cli.plan import Plan
from waybill.cli.session import Session, hold_results
from waybill.cli.terminal import Screen, asks, guarded, visible
from waybill.model.errors import EXIT_CONFIG, EXIT_EMPTY, EXIT_FAILED, EXIT_OK, worst
from waybill.model.selection import Selection
from waybill.model.transfer import Transfer
from waybill.model.verbs import DOWNLOAD, UPLOAD
from waybill.presets.glacier import region_patterns
from waybill.results import outcome
from waybill.results.layout import Layout
from waybill.results.outcome import Asked

# In this variable the launcher of a clone hands on the name by which it was called.
INVOKED = "WAYBILL_INVOKED"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    return guarded(PROGRAM, lambda screen: _command(screen, arguments), WORDS)


def _command(screen: Screen, arguments: list[str]) -> int:
    wish = parse(arguments)
    invoked = Path(os.environ.pop(INVOKED, sys.argv[0]))
    file = Path(wish.config) if wish.config else config.find(invoked)
    settings = config.read(file)
    wanted = wish.environment or settings.environment
    environment, why = config.environment_of(wanted, os.environ)
    folder = config.data_folder(settings, environment, why)
    screen.line(f"Reading configuration from: {visible(str(file.absolute()))}")
    screen.line(f"Working in data directory: {visible(str(folder))} ({environment}: {why})")
    with contextlib.ExitStack() as stack:
        home = glacier_transfers.home_of(wish, settings, folder)
        extra = {}
        if wish.dry_run:
            home = stack.enter_context(glacier_transfers.borrowed(home))
            extra["XDG_CACHE_HOME"] = str(home / "cache")  # Snakemake makes a folder there
        toml, transfers = glacier_transfers.configure(wish, settings, folder, home)
        layouts = {name: Layout(home / t.results) for name, t in transfers.items()}
        for layout in layouts.values():
            hold_results(layout)
        glacier_transfers.follow_mode(home, wish, layouts)
        launch = state_folder.launch(
            screen, toml, toml.with_suffix(".log"), cores=wish.cores, verbose=wish.verbose, **extra
        )
        for line in glacier_screen.modes(wish):
            screen.line(line)
        return Sync(screen, wish, Session(screen, launch, transfers)).run()


@dataclass(slots=True)
class Sync:
    """One command at work: the plan, for an upload the question, the run."""

    screen: Screen
    wish: Wish
    session: Session

    def run(self) -> int:
        """Run the command; returns its exit code."""
        first, plans = self.session.plan()
        self._tell(first)
        if first.signal:
            return first.code
        if self.wish.dry_run and first.code == EXIT_FAILED and not first.said:
            for line in self.session.launch.log.read_text(encoding="utf-8").splitlines():
                self.screen.note(visible(line))  # the log is removed soon
        for name, transfer in self._transfers.items():
            refused = self.session.refused(name, plans[name]) if name in plans else []
            glacier_screen.show(self.screen, self.wish, transfer, plans.get(name), refused)
        missing = self._missing_regions(plans)
        for region in missing:
            self.screen.problem(visible(f"no files of region {region}"))
        if self.wish.dry_run:
            self.screen.line()
            self.screen.line(f"Dry run: nothing {self._moved_word}")
            code = self._code([first])
            different = any(plan.refused for plan in plans.values())
            return worst([code, EXIT_FAILED if different else EXIT_OK, _empty(missing)])
        self.session.notify_without_plan(first, plans)
        busy = {name: plan for name, plan in plans.items() if plan.found or plan.refused}
        if not busy:
            return self._code([first]) or _empty(missing)
        if self.wish.upload and not self._agreed(busy):
            return EXIT_OK if asks() else EXIT_CONFIG
        runs = [first, *self._run(busy)]
        self.screen.line()
        for name, plan in busy.items():
            self._sum_up(self._transfers[name], plan)
        if runs[-1].signal:
            return runs[-1].code
        if not self.wish.force and any(plan.refused for plan in busy.values()):
            self.screen.line("--force-overwrite replaces what differs")
        code = self._code(runs) or _empty(missing)
        if code == EXIT_OK:
            self.screen.line("Sync complete")
        return code

    def _run(self, plans: dict[str, Plan]) -> Iterator[Ended]:
        """Run the workflow for the plans. If it names a satellite, for example because another run
        uses its folder, run it again for the others without this one."""
        while plans:
            ended = self.session.run(plans)
            self._tell(ended)
            yield ended
            named = {said.transfer for said in ended.said}
            if ended.signal or not named & plans.keys():
                return
            plans = {name: plan for name, plan in plans.items() if name not in named}

    @property
    def _transfers(self) -> dict[str, Transfer]:
        return self.session.transfers

    @property
    def _moved_word(self) -> str:
        return (UPLOAD if self.wish.upload else DOWNLOAD).done

    def _tell(self, ended: Ended) -> None:
        for name, line in self.session.failed(ended):
            self.screen.problem(visible(f"{name}: {line}" if name else line))

    def _agreed(self, plans: dict[str, Plan]) -> bool:
        """Whether the upload is wanted; nothing to upload needs no question."""
        moves = sum(len(plan.moves) for plan in plans.values())
        if not moves or self.wish.yes:
            return True
        if not asks():
            self.screen.problem("no terminal to ask on: add --yes; nothing uploaded")
            return False
        urls = " and ".join(self._transfers[name].url for name, plan in plans.items() if plan.moves)
        if self.screen.ask(f"Upload {moves} file(s) to {urls}?"):
            return True
        self.screen.line("nothing uploaded")
        return False

    def _sum_up(self, transfer: Transfer, plan: Plan) -> None:
        layout = self.session.layouts[transfer.name]
        files, size = self.session.moved({transfer.name: plan})
        complete = not outcome.read(transfer, layout).open
        text = glacier_screen.summary(
            plan, files, size, self._moved_word, complete=complete and not plan.refused
        )
        self.screen.line(f"{transfer.name}: {text}")

    def _missing_regions(self, plans: dict[str, Plan]) -> list[str]:
        """The requested regions of which no satellite has a file; none when a plan is missing."""
        if plans.keys() != self._transfers.keys():
            return []
        paths = [path for plan in plans.values() for path in plan.paths()]
        return [
            region
            for region in self.wish.regions
            if not any(map(Selection(region_patterns(region)).matches, paths))
        ]

    def _code(self, runs: list[Ended]) -> int:
        """The worst exit code of all satellites. A satellite without files counts if the satellites
        were named, or if no satellite has files."""
        asked = Asked.PART if self.wish.dry_run else Asked.ALL
        found = {
            name: outcome.read(transfer, self.session.layouts[name])
            for name, transfer in self._transfers.items()
        }
        codes = {name: its.code(asked) for name, its in found.items()}
        filled = [name for name, its in found.items() if its.files]
        if filled and not self.wish.named:
            codes = {name: code for name, code in codes.items() if code != EXIT_EMPTY}
        others = [ended.code for ended in runs if ended.code != EXIT_EMPTY]
        return worst([*codes.values(), *others])


def _empty(missing: list[str]) -> int:
    return EXIT_EMPTY if missing else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
