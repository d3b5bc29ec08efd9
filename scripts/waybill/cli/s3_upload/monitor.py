"""``s3-upload monitor``: one pass over the monitored folders, as cron starts it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from waybill.cli import state_folder
from waybill.cli.arrivals import Arrivals
from waybill.cli.launch import Ended, Launch
from waybill.cli.s3_upload import config as monitor_config
from waybill.cli.s3_upload import log as logs
from waybill.cli.s3_upload import notify as notifying
from waybill.cli.s3_upload import report
from waybill.cli.s3_upload import transfers as transfers_of
from waybill.cli.s3_upload.after import AfterRuns, Done
from waybill.cli.s3_upload.arguments import Monitor
from waybill.cli.s3_upload.config import MonitorConfig
from waybill.cli.s3_upload.dry_run import dry_run
from waybill.cli.s3_upload.states import StateFiles, Watch
from waybill.cli.terminal import Screen, visible
from waybill.model.errors import EXIT_EMPTY, EXIT_FAILED, EXIT_OK, ConfigError, WaybillError, worst
from waybill.model.failure import Failure
from waybill.model.transfer import Notify
from waybill.model.units import format_size
from waybill.presets.illumina import waiting
from waybill.presets.illumina.glance import partial
from waybill.results import failures, outcome, state
from waybill.results.layout import Layout
from waybill.results.published import published_key

log = logging.getLogger(__name__)

_DOOR = "monitor"  # the stage of failures that only this command sees


def monitor(screen: Screen, wish: Monitor) -> int:
    """One pass; returns the exit code."""
    file = Path(wish.config).absolute()
    try:
        config = monitor_config.load(file)
    except ConfigError as error:
        if not wish.dry_run:
            whom, log_dir = notifying.of_broken(file)
            notifying.Beforehand(whom, file, _home(log_dir, file)).failed(error.problems)
        raise
    logs.prepare(config.log_dir)
    with logs.only_one(config.log_dir) as holder:
        if holder is not None:
            screen.line(f"another monitor is at work: {visible(holder)}; nothing done")
            return EXIT_OK
        with logs.logging_to(config.log_dir, config.log_level, screen):
            return _locked(screen, wish, config)


def _home(log_dir: Path, file: Path) -> Path:
    """The folder in which the passes with a configuration keep their state."""
    return log_dir / "waybill" / f"{file.stem}-{state_folder.digest(file)}"


def _locked(screen: Screen, wish: Monitor, config: MonitorConfig) -> int:
    home = _home(config.log_dir, config.file)
    hooks = ("slack_log_webhook", "slack_alert_webhook")
    whom = notifying.settings({hook: getattr(config, hook) for hook in hooks})
    beforehand = notifying.Beforehand(whom, config.file, home)
    log.info("looking for runs, as %s says", visible(str(config.file)))
    try:
        if wish.dry_run:
            return dry_run(config, home)
        one = Pass(screen, config, home)
    except WaybillError as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        for problem in problems:
            log.error("%s", visible(problem))
        if not wish.dry_run:
            beforehand.failed(problems, error.exit_code)
        return error.exit_code
    try:
        code = one.run()
    except (WaybillError, OSError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        text = visible(f"{where}{getattr(error, 'strerror', None) or error}")
        log.error("%s", text)
        beforehand.failed([text], EXIT_FAILED)
        return EXIT_FAILED
    if not one.interrupted:
        beforehand.passed()
        one.tell(whom, code)
    return code


class Pass:
    """One pass: it uploads the runs that were begun before, then all others, and writes the state
    files and the log."""

    def __init__(self, screen: Screen, config: MonitorConfig, home: Path) -> None:
        self._screen = screen
        self._uploads = transfers_of.uploads(config)
        env = transfers_of.environment(os.environ)
        home.mkdir(parents=True, exist_ok=True)
        file = home / "config.toml"
        configured = state_folder.configure(file, transfers_of.of_monitor(config))
        self.layouts = {name: Layout(home / t.results) for name, t in configured.items()}
        # The same transfers with the absolute paths of their results.
        self.transfers = {
            name: replace(transfer, results=self.layouts[name].root)
            for name, transfer in configured.items()
        }
        self._relative = {name: Layout(t.results) for name, t in configured.items()}
        self.launch = Launch(
            home,
            file.name,
            home / "snakemake.log",
            cores=config.max_cores,
            env=env,
            echo=log.debug if config.log_level <= logging.DEBUG else None,
        )
        self.launch.log.unlink(missing_ok=True)
        self._states = StateFiles(self._uploads)
        self._after = AfterRuns(home, config.command, config.command_timeout)
        # Runs that were begun before and not called completed.
        self._begun = set(partial(self._uploads))
        self._watch = Watch(self.layouts)
        self._known: dict[str, bool] = {}  # runs of earlier passes: whether all is proven
        for transfer, layout in self.layouts.items():
            for name, place in state.read(layout).places.items():
                proven = outcome.is_proven(self.transfers[transfer], name, place)
                self._known[place.folder] = proven and self._known.get(place.folder, True)
        self._launched: list[Ended] = []
        self._announced: list[Arrivals] = []
        self._codes: dict[str, int] = {}
        self._success = True
        self.interrupted = False

    def run(self) -> int:
        """Run the pass; returns the exit code."""
        for layout in self.layouts.values():
            for record in layout.failures.glob(f"{_DOOR}.*"):
                record.unlink(missing_ok=True)
        ended = self._ship()
        self._screen.clear()
        self._watch.look()
        self.interrupted = any(one.signal for one in ended)
        self._success = all(one.code in (EXIT_OK, EXIT_EMPTY) for one in ended)
        runs = self._watch.by_folder()
        done = [folder for folder, ways in runs.items() if self._conclude(folder, ways)]
        self._conclude_resting()
        code = self._report(ended, runs, done)
        return ended[-1].code if self.interrupted else worst([code, self._after.run()])

    def _ship(self) -> list[Ended]:
        """Run the workflow once, or first for the runs that were begun before and then for the
        others. Returns the ended workflows whose exit codes count."""
        begun = {folder for folder, proven in self._known.items() if not proven}
        begun |= {folder or "" for folder in self._begun}
        if not any(folder == "" or Path(folder).is_dir() for folder in begun):
            return [self._launch()]
        looked = self._launch(layout.inventory for layout in self._relative.values())
        if looked.signal:
            return [looked]
        self._watch.look()
        active = [(n, run) for n, runs in self._watch.runs.items() for run in runs if run.total]
        old = [(name, run) for name, run in active if str(run.folder) in begun]
        rest = [(name, run) for name, run in active if str(run.folder) not in begun]
        if not old or all(self._known.get(str(run.folder)) for _, run in rest):
            return [self._launch()]
        first = self._launch(self._last(name, run) for name, run in old)
        if first.signal:
            return [first]
        if first.code in (EXIT_OK, EXIT_EMPTY):
            return [self._launch()]
        # A workflow for all runs would at once try again what has just failed.
        return [first, self._launch(self._last(name, run) for name, run in rest)]

    def _launch(self, files: Iterable[Path] = ()) -> Ended:
        targets = [os.fspath(path) for path in files]
        ended = self.launch.run("all", list(self.transfers), self._tick, targets)
        self._launched.append(ended)
        return ended

    def _last(self, name: str, run: Arrivals) -> Path:
        """The file that is written when all of a run is proven."""
        layout = self._relative[name]
        last = layout.publication if self.transfers[name].publishes else layout.manifest
        return last(run.dataset)

    def _tick(self) -> None:
        self._watch.look()
        for run in self._watch.all():
            missing = run.total - run.count
            if missing and run not in self._announced:
                where = visible(str(run.folder)), self._url(run)
                log.info("%s: %d file(s) to upload to %s", where[0], missing, where[1])
                self._announced.append(run)
        self._screen.progress(str(self._watch.progress()))  # no lines for cron
        self._states.follow(self._watch.by_folder())

    def _conclude(self, folder: Path, ways: list[Arrivals]) -> bool:
        """Write the final state of a run, and count its failures. Returns whether all is proven."""
        proven = all(
            outcome.is_proven(self.transfers[self._name(w)], w.dataset, w.place) for w in ways
        )
        reasons = [reason for way in ways if (reason := way.reason())]
        waits = any(way.refused or way.held or not way.total for way in ways)
        lost = not (proven or reasons or waits or self.interrupted or self._success)
        is_new = str(folder) in self._begun or not self._known.get(str(folder))
        if proven and (is_new or any(way.moved[0] for way in ways)):
            self._after.note(self._done(folder, ways))
        self._states.conclude(folder, ways, proven=proven, lost=lost)
        for way in ways:
            if not (way.total or way.refused or way.held):
                text = "holds no file to upload; see exclude_patterns"
                record = failures.record_path(way.layout, _DOOR, way.dataset)
                failures.write(record, [Failure("", EXIT_FAILED, text)])
        if proven:
            waiting.succeeded(self._states.file(folder))
        elif (lost or reasons) and not self.interrupted:
            text = reasons[0] if reasons else "a job ended and left no record"
            waiting.failed(self._states.file(folder), text, datetime.now(UTC))
        return proven

    def _done(self, folder: Path, ways: list[Arrivals]) -> Done:
        buckets = [self.transfers[self._name(way)].bucket for way in ways]
        keys = [published_key(way.layout.publication(way.dataset)) for way in ways]
        manifests = [f"s3://{b}/{key}" for b, key in zip(buckets, keys, strict=True) if key]
        return Done(
            run=str(folder),
            run_id=folder.name,
            destinations=tuple(map(self._url, ways)),
            manifests=tuple(manifests),
            files=ways[0].total,
            bytes=ways[0].bytes,
        )

    def _name(self, run: Arrivals) -> str:
        return next(name for name, layout in self.layouts.items() if layout == run.layout)

    def _url(self, run: Arrivals) -> str:
        return visible(f"s3://{self.transfers[self._name(run)].bucket}/{run.place.prefix}")

    def _conclude_resting(self) -> None:
        """Correct the state file of a resting run that was proven, if it does not say so: the pass
        that proved it may have been killed."""
        busy = self._watch.by_folder()
        mended: dict[Path, list[Arrivals]] = {}
        for name, layout in self.layouts.items():
            now = state.read(layout)
            for dataset, place in now.places.items():
                folder = Path(place.folder)
                if (
                    place.resting
                    and folder not in busy
                    and outcome.is_proven(self.transfers[name], dataset, place)
                    and not self._states.tells_completed(folder)
                ):
                    run = Arrivals(layout, dataset, place, now)
                    run.update()
                    mended.setdefault(folder, []).append(run)
        for folder, ways in mended.items():
            self._after.note(self._done(folder, ways))
            self._states.conclude(folder, ways, proven=True, lost=False)

    def _report(
        self, ended: list[Ended], runs: dict[Path, list[Arrivals]], done: list[Path]
    ) -> int:
        told: dict[str, list[report.Line]] = {}
        for name, layout in self.layouts.items():
            told[name], self._codes[name] = report.conclusion(self.transfers[name], layout)
        places = {name: transfer.destination for name, transfer in self.transfers.items()}
        lines = list(report.notes(self._launched, self.layouts, places))
        lines += report.once(report.of_runs(told, self.layouts), places)
        for line in (*lines, *report.routes(self.layouts, places)):
            log.log(line.level, "%s", visible(line.text))
        uploaded, partly = 0, False
        for folder, ways in runs.items():
            for way in ways:
                files, size = way.moved
                if files:
                    log.info(
                        "%s: %d file(s), %s, uploaded to %s; %d of %d proven", visible(str(folder)),
                        files, format_size(size), self._url(way), way.count, way.total,
                    )  # fmt: skip
            moved = any(way.moved[0] for way in ways)
            uploaded += moved and folder in done
            partly |= moved
        if self.interrupted:
            log.warning("interrupted; what has arrived stays proven, the next pass goes on there")
            return EXIT_OK
        codes = [code for code in self._codes.values() if code != EXIT_EMPTY]
        code = worst([*codes, *(one.code for one in ended if one.code != EXIT_EMPTY)])
        if code and not any(codes):
            log.error("the workflow failed; its log is %s", self.launch.log)
        failed = sum(line.level == logging.ERROR for line in lines)
        note = f"; {failed} failure(s), see above" if failed else ""
        nothing = "no run uploaded as a whole" if partly else "nothing uploaded"
        if not (uploaded or partly or any(way.total > way.count for way in self._watch.all())):
            log.info(report.NOTHING)
        log.info("%s%s", f"{uploaded} run(s) uploaded" if uploaded else nothing, note)
        return code

    def tell(self, whom: Notify | None, code: int) -> None:
        """Send the notifications of this pass."""
        notifying.after_pass(whom, self.transfers, self._codes, code=code, success=self._success)
