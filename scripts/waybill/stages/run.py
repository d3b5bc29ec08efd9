"""One run of the Snakefile: its transfers and their targets, its beginning and its end."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from waybill import __version__, notify
from waybill.config import read as configuration
from waybill.inventory.sides import work_tree
from waybill.model.errors import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    ConfigError,
    WaybillError,
    describe,
    worst,
)
from waybill.model.transfer import Transfer
from waybill.model.verbs import VERIFY, verb_of
from waybill.report.write import after_run as write_pages
from waybill.results import closing_lines, history, outcome, run_lines, state
from waybill.results.layout import Layout
from waybill.stages import console
from waybill.stages.announcer import Announcer
from waybill.stages.repeats import give_up_lasting_failures
from waybill.stages.rules import summarise
from waybill.stages.run_inputs import Inputs
from waybill.stages.snakemake_private import Snakemake
from waybill.stages.verify_run import VerifyRun
from waybill.system import encoding, installed
from waybill.system.collector import spare_imports
from waybill.system.interrupt import Interrupts
from waybill.system.locks import lock, lock_folder
from waybill.system.resources import project_root
from waybill.verify.layout import verified_if_any
from waybill.verify.outcome import conclude as conclude_verification

DEFAULT_TOML = "config/config.toml"

# Keys of `snakemake --config` that are not settings of a transfer.
_OWN_KEYS = {
    "toml", "transfers", "start", "hash", "waybill", "waybill_tree", "waybill_alone", "defaults",
}  # fmt: skip

# Snakemake turns only `True` and `False` into a boolean, not other words for it.
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False, "0": False, "1": True}


class Run(Inputs):
    """One run of the Snakefile over the chosen transfers."""

    def __init__(
        self, transfers: dict[str, Transfer], snakemake: Snakemake, config: Mapping[str, Any]
    ) -> None:
        super().__init__(transfers, snakemake, config)
        self.verification = VerifyRun(transfers, snakemake, target=snakemake.named("verify"))
        self._locks: list[int | None] = []
        self._held = False
        self._folders: set[Path] = set()
        self._last: dict[str, str] = {}  # the last inventory before this run, by transfer
        self._begun: list[Path] = []  # the files ``begun`` that this run has made
        self._interrupts: Interrupts | None = None
        self._announcer: Announcer | None = None
        self._outcomes: dict[str, outcome.Outcome] = {}
        self._since = time.monotonic()

    @classmethod
    def from_snakemake(cls, workflow: Any, config: dict[str, Any]) -> Run:
        """Read the configuration that ``--config`` names and leave it in ``config`` for the jobs.

        A mistake ends the process with exit code 2 and one line for each mistake.
        With ``--config start=WORD`` the last inventory is used and no new one is taken. With
        ``--config hash=true`` the target ``plan`` hashes files and asks S3 about objects.
        ``defaults`` is for profiles: settings below those of presets and of the TOML file.
        """
        spare_imports()
        if problem := encoding.mistaken():
            print(f"waybill: {problem}", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        chosen = config.get("transfers") or []
        names = [n.strip() for n in chosen.split(",")] if isinstance(chosen, str) else chosen
        overrides = {k: v for k, v in config.items() if k not in _OWN_KEYS}
        for table, key in ((overrides, "one_job_per_batch"), (config, "hash")):
            if (word := str(table.get(key)).lower()) in _BOOLEANS:
                table[key] = _BOOLEANS[word]
        if not isinstance(config.get("hash", False), bool):
            text = f"--config hash={config['hash']}: is neither true nor false"
            print(f"waybill: {text}", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        try:
            if "toml" not in config and not Path(DEFAULT_TOML).exists():
                text = "no such file; `--config toml=PATH` names another, `waybill init` writes one"
                raise ConfigError([f"{DEFAULT_TOML}: {text}"])
            transfers = configuration.load(
                config.get("toml", DEFAULT_TOML),
                transfers=[n for n in names if n],
                overrides=overrides,
                beneath=config.get("defaults"),
            )
        except ConfigError as error:
            for problem in error.problems:
                print(f"waybill: {problem}", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        config["waybill"] = {name: t.for_jobs() for name, t in transfers.items()}
        config["waybill_tree"] = os.fspath(installed.tree())
        snakemake = Snakemake(workflow)
        config["waybill_alone"] = (
            snakemake.is_on_cluster
        )  # its jobs say themselves how far they are
        snakemake.start_lightly(project_root() / "scripts")
        run = cls(transfers, snakemake, config)
        if snakemake.is_main_process:
            installed.tell_jobs()
            snakemake.calm_scheduler()
            if snakemake.main_folder == project_root():
                run._take_signals()
        return run

    def _take_signals(self) -> None:
        """From here on a signal ends the run. It is not called in a workflow that uses this one as
        a module: that workflow handles its signals itself."""
        self._interrupts = Interrupts(self._snakemake)
        self._snakemake.shield_jobs()

    @property
    def _moves(self) -> bool:
        return not self._only_looks and not self.verification.wanted

    # Handlers

    def _hold(self) -> None:
        """Lock the results of every transfer, and the folder of a download, until this process
        ends. A transfer that another run holds is left out of this run."""
        snakemake = self._snakemake
        if self._held or not snakemake.is_main_process or not snakemake.executes:
            return
        self._held = True
        console.warn(logging.getLogger("waybill"))
        for transfer in self.transfers.values():
            try:
                self._locks.append(lock(Layout(transfer.results).lock))
                if transfer.direction == "download" and self._moves:
                    self._hold_folder(transfer)
            except WaybillError as error:
                self._busy[transfer.name] = str(error)
            except OSError as error:
                self._busy[transfer.name] = describe(error, transfer.results)

    def _hold_folder(self, transfer: Transfer) -> None:
        """Lock a destination folder against other runs. A folder in a Git work tree is refused
        later, so it is not made here."""
        folder = transfer.folder.resolve()
        if folder not in self._folders and work_tree(transfer) is None:
            self._locks.append(lock_folder(folder))
            self._folders.add(folder)

    def begin(self) -> None:
        """Lock the transfers of this run, and prepare them. Ends the process with exit code 1 when
        another run holds all of them, or holds any of them and files were named as targets.
        """
        if self._interrupts:
            self._interrupts.install()
        self._hold()
        named = any("/" in target for target in self._snakemake.targets)
        if self._busy and (named or len(self._busy) == len(self.transfers)):
            self._tell_busy()
            sys.exit(EXIT_FAILED)
        for transfer in self.transfers.values():
            if transfer.name in self._busy:
                continue
            layout = Layout(transfer.results)
            if self.verification.wanted:
                self.verification.begin(transfer.name)
                continue
            if not self._look.is_shared:
                self._last[transfer.name] = state.read(layout).run
                self._look.begins(transfer.name, self._last[transfer.name])
                if layout.root.is_dir() and not layout.begun.exists():
                    layout.begun.touch()
                    self._begun.append(layout.begun)
            self._snakemake.drop_backup(layout.inventory)  # the folder is complete at every moment
            if self._plans:  # a new plan is wanted, not that of the last run
                layout.plan.unlink(missing_ok=True)
        self._announce()
        give_up_lasting_failures(
            self.verification.layout(name) if self.verification.wanted else Layout(t.results)
            for name, t in self.transfers.items()
        )

    def _announce(self) -> None:
        """Begin to count the jobs of this run, and to print how far it is."""
        if not self._snakemake.is_main_process:
            return
        free = {n: Layout(t.results) for n, t in self.transfers.items() if n not in self._busy}
        verification = self.verification
        verb = VERIFY if verification.wanted else verb_of(self.transfers.values())
        self._announcer = Announcer(
            free, self._kind, verb=verb.doing, expected=verification.expected
        )
        self._announcer.begin()

    def end(self, *, success: bool) -> None:
        """Print the outcome of each transfer. Ends the process unless the exit code is 0."""
        self._snakemake.drop_timers()
        if self._announcer:
            self._announcer.end()
        if success:  # where no inventory was taken, none was needed
            for path in self._begun:
                path.unlink(missing_ok=True)
        codes, explained = [], False
        transfers = {n: t for n, t in self._concerned().items() if n not in self._busy}
        for transfer in transfers.values():
            lines, code = self._conclude(transfer)
            self._note(transfer, lines, code)
            codes.append(code)
            explained |= any(line.startswith("FAILED ") for line in lines)
            explained |= self.verification.wanted and code != EXIT_OK
            took = run_lines.lines(Layout(transfer.results), self._outcomes.get(transfer.name))
            for line in [*took, *lines]:
                print(f"waybill: {transfer.name}: {line}", file=sys.stderr)
        code = worst(codes)
        if not explained and not success:
            print("waybill: FAILED: a job left no record; see what it said above", file=sys.stderr)
            code = EXIT_FAILED
        if self._moves:
            settled = EXIT_FAILED if self._busy else code
            self._settle(settled, "waybill: notifications given up: interrupted")
            by_name = dict(zip(transfers, codes, strict=True))
            notify.after_run(transfers, by_name, code=code, success=success)
        if self._busy:
            self._tell_busy()
            code = EXIT_FAILED
        self._settle(code)
        for line in write_pages(transfers):
            print(f"waybill: {line}", file=sys.stderr)
        if code:
            sys.exit(code)

    def _conclude(self, transfer: Transfer) -> tuple[list[str], int]:
        """The last lines about a transfer and its exit code. Without an inventory in this run there
        is no verdict, and the exit code is 1."""
        if self.verification.wanted:
            return conclude_verification(transfer, self.verification.layout(transfer.name))
        layout = Layout(transfer.results)
        found, asked = outcome.read(transfer, layout), self._asked(transfer)
        self._outcomes[transfer.name] = found
        if not (self._look.is_shared or found.blind) and found.run == self._last.get(transfer.name):
            text = "nothing was looked at, so there is no verdict; run again, for all of it"
            return [text], EXIT_FAILED
        if found.failures and found.is_whole and not found.blind and layout.plan.exists():
            # The job of the summary failed, so there is no table. People want it nevertheless; the
            # next inventory removes it.
            summarise(layout)
        return closing_lines.lines(found, transfer, layout, asked), found.code(asked)

    @property
    def _kind(self) -> str:
        """What this run is for, as ``results.history`` has it."""
        if self.verification.wanted:
            return history.VERIFY
        return history.PLAN if self._only_looks else history.RUN

    def _note(self, transfer: Transfer, lines: list[str], code: int) -> None:
        """Add this run to the history of a transfer. A history that cannot be written changes no
        exit code: nothing depends on it."""
        layout, verifies = Layout(transfer.results), self.verification.wanted
        counts: dict[str, int] = {}
        if verifies:
            now = verified_if_any(self.verification.layout(transfer.name))
            counts = {"files": now.files, "bytes": now.bytes, "looked": now.looked}
        elif found := self._outcomes.get(transfer.name):
            files, size = found.moved
            counts = {"files": found.files, "bytes": found.bytes, "failures": len(found.failures)}
            if not self._only_looks:
                counts |= {"moved_files": files, "moved_bytes": size}
        try:
            history.append(
                layout,
                history.Ended(
                    time=datetime.now(UTC).isoformat(timespec="seconds"),
                    seconds=round(time.monotonic() - self._since, 1),
                    kind=self._kind,
                    code=code,
                    run=state.read(layout).run,
                    depth=transfer.verify_depth if verifies else "",
                    said=lines,
                    version=__version__,
                    **counts,
                ),
            )
        except OSError as error:
            print(f"waybill: {transfer.name}: {describe(error, layout.root)}", file=sys.stderr)

    def _settle(self, code: int, line: str = "") -> None:
        """From here on a signal ends the process with ``code`` and prints ``line``, if any."""
        if self._interrupts:
            self._interrupts.settle(code, line)

    def _tell_busy(self) -> None:
        for name, text in self._busy.items():
            print(f"waybill: {name}: FAILED {text}", file=sys.stderr)
