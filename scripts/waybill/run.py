"""What the Snakefile asks: the transfers of this run, their targets, its beginning and its end."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from waybill import config as configuration
from waybill import encoding, installed, notify, outcome, state
from waybill.batches import is_first, is_last
from waybill.collector import spare_imports
from waybill.config import Transfer
from waybill.errors import EXIT_CONFIG, EXIT_FAILED, ConfigError, WaybillError
from waybill.interrupt import Interrupts
from waybill.layout import Layout
from waybill.lock import lock, lock_folder
from waybill.resources import project_root
from waybill.sides import work_tree
from waybill.verify_outcome import conclude as conclude_verification
from waybill.verify_run import VerifyRun

DEFAULT_TOML = "config/config.toml"

# Keys of `snakemake --config` that are not settings of a transfer.
_OWN_KEYS = {
    "toml", "transfers", "start", "waybill", "waybill_tree", "defaults", "one_job_per_batch"
}  # fmt: skip

# Targets that look and do not move.
_LOOKING = ("plan", "report", "/inventory", "/plan.tsv", "/report/plan.html")


class Run:
    """One run of the Snakefile over the chosen transfers."""

    def __init__(self, transfers: dict[str, Transfer], workflow: Any, config: Any) -> None:
        self.transfers = transfers
        self.start = str(config.get("start", time.time_ns()))
        self.verification = VerifyRun(transfers, workflow)
        self._workflow = workflow
        self._taken = "start" in config  # the inventory is taken for granted
        self._fused = config["one_job_per_batch"]
        self._locks: list[int | None] = []
        self._held = False
        self._looks_anyway = False
        self._folders: set[Path] = set()
        self._busy: dict[str, str] = {}  # transfers that another run holds, and what to say
        # The inventory before that of this run, for each transfer whose new one is awaited.
        self._before: dict[str, str | None] = {}
        self._interrupts: Interrupts | None = None

    @classmethod
    def from_snakemake(cls, workflow: Any, config: dict[str, Any]) -> Run:
        """Read the configuration that ``--config`` names and leave it in ``config`` for the jobs.

        A mistake ends the process with exit code 2 and one line for each mistake.
        ``--config start=WORD`` takes a given inventory for granted instead of looking again.
        ``defaults`` is for profiles: settings below those of the TOML file. With
        ``one_job_per_batch``, as it is unless somebody says otherwise, one job does checksum, diff
        and upload of a batch, and reads small files once.
        """
        spare_imports()
        if problem := encoding.mistaken():
            print(f"waybill: {problem}", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        chosen = config.get("transfers") or []
        names = [n.strip() for n in chosen.split(",")] if isinstance(chosen, str) else chosen
        overrides = {k: v for k, v in config.items() if k not in _OWN_KEYS}
        try:
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
        # Of the words for "no", Snakemake itself knows `False` alone.
        one_job = str(config.get("one_job_per_batch", True)).lower()
        config["one_job_per_batch"] = one_job not in ("false", "no", "0")
        config["waybill"] = {name: t.for_jobs() for name, t in transfers.items()}
        config["waybill_tree"] = os.fspath(installed.tree())
        run = cls(transfers, workflow, config)
        if workflow.is_main_process:
            installed.tell_jobs()
            if Path(workflow.main_snakefile).resolve().parent == project_root():
                run._take_signals()
        return run

    def _take_signals(self) -> None:
        """See to it that a signal ends the run from here on. In a workflow that has this one as a
        module, that is the business of that workflow."""
        from snakemake.shell import shell

        self._interrupts = Interrupts(self._workflow)
        # An interrupt from the keyboard reaches the jobs too, also while they import Snakemake,
        # which would end in a traceback of each. This process ends them.
        shell.prefix("trap '' INT; exec ")

    # Wildcards

    @property
    def results_pattern(self) -> str:
        """A regular expression of the results folders."""
        return _any_of({os.fspath(t.results.parent) for t in self.transfers.values()})

    @property
    def transfers_pattern(self) -> str:
        """A regular expression of the transfers' names."""
        return _any_of(self.transfers)

    def direction_pattern(self, direction: str) -> str:
        """A regular expression of the names of the transfers in one direction."""
        return _any_of(n for n, t in self.transfers.items() if t.direction == direction)

    # Input and params functions

    def per_transfer(self, name: str) -> Callable[[Any], list[str]]:
        """An input function: the file ``name`` of every transfer."""

        def files(_wildcards: Any) -> list[str]:
            self._check_triggers()
            self._force_look()
            self._hold()
            transfers = (t for t in self.transfers.values() if t.name not in self._busy)
            return [os.fspath(t.results / name) for t in transfers]

        return files

    def setting(self, name: str) -> Callable[[Any], Any]:
        """A params function: one setting of the job's transfer."""
        return lambda wildcards: getattr(self.transfers[wildcards.transfer], name)

    def diffs(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the diff tables of a transfer, and its entries in no batch. Where
        one job does all for a batch, its diff table is there when its marker is."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            table = layout.marker if self._one_job else layout.diff
            tables = [table(dataset, batch) for dataset, batch in layout.batches()]
            return [os.fspath(p) for p in (*tables, *sorted(layout.inventory.glob("*.aside.tsv")))]

        return files

    def to_compare(self, wildcards: Any) -> list[str]:
        """An input function: what the diff of a batch starts from. Files to upload are hashed
        before; files to download over are hashed only when their size leaves it open."""
        transfer = self.transfers[wildcards.transfer]
        layout = Layout(transfer.results)
        tables = [layout.local, layout.remote]
        if transfer.direction == "upload":
            tables.append(layout.checksums)
        return [os.fspath(table(wildcards.dataset, wildcards.batch)) for table in tables]

    def to_move(self, wildcards: Any) -> list[str]:
        """An input function: what the upload or download of a batch starts from, and what of other
        batches comes before it: that the first ones were tried, and for a last one the markers of
        all others."""
        from snakemake.io import ancient

        transfer = self.transfers[wildcards.transfer]
        layout = Layout(transfer.results)
        dataset, batch = wildcards.dataset, wildcards.batch
        others = layout.batches_of(dataset) if transfer.first or transfer.last else ()
        if is_first(batch):
            tried = _tried(layout, dataset, batch)
            before = [tried] if tried != layout.marker(dataset, batch) else []
        elif is_last(batch):
            before = [layout.marker(dataset, other) for other in others if not is_last(other)]
        else:
            before = [_tried(layout, dataset, other) for other in others if is_first(other)]
        return self.to_try(wildcards) + [ancient(os.fspath(path)) for path in before]

    def to_try(self, wildcards: Any) -> list[str]:
        """An input function: what moving the entries of a batch starts from."""
        layout = Layout(self.transfers[wildcards.transfer].results)
        batch = wildcards.dataset, wildcards.batch
        tables = [layout.local(*batch), layout.remote(*batch)]
        return [os.fspath(path) for path in (tables if self._one_job else [layout.diff(*batch)])]

    def markers(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the markers of a dataset."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            batches = (b for dataset, b in layout.batches() if dataset == wildcards.dataset)
            return [os.fspath(layout.marker(wildcards.dataset, b)) for b in batches]

        return files

    def manifests(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the last file of each dataset of a transfer, which is the record of
        its publication, or its manifest where nothing is published."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            published = self.transfers[wildcards.transfer].publishes
            last = layout.publication if published else layout.manifest
            return [os.fspath(last(d)) for d in sorted({d for d, _ in layout.batches()})]

        return files

    @property
    def _one_job(self) -> bool:
        """Whether one job does checksum, diff and upload: not where the targets only look."""
        return self._fused and not self._only_looks

    @property
    def _only_looks(self) -> bool:
        targets = set(self._workflow.dag_settings.targets)
        return bool(targets) and all(target.endswith(_LOOKING) for target in targets)

    @property
    def _moves(self) -> bool:
        return not self._only_looks and not self.verification.wanted

    def _after_inventory(self, checkpoints: Any, wildcards: Any) -> Layout:
        self._check_triggers()
        self._force_look()
        checkpoints.inventory.get(results=wildcards.results, transfer=wildcards.transfer)
        layout = Layout(self.transfers[wildcards.transfer].results)
        if self._before.get(wildcards.transfer) is not None:
            self._await_inventory(wildcards.transfer, layout)
        return layout

    def _await_inventory(self, name: str, layout: Layout) -> None:
        """Wait until the tables of the inventory that has just been taken are all to be seen: a
        shared file system may show those of another node late, and for a while the old ones."""
        end = time.monotonic() + self._workflow.execution_settings.latency_wait
        while True:
            now = state.read(layout)
            batches = {f"{dataset}/{batch}" for dataset, batch in layout.batches()}
            complete = len(batches) == now.batches and batches.issuperset(now.open)
            if complete and now.run not in ("", self._before[name]):
                self._before[name] = None
                return
            if time.monotonic() > end:
                print(
                    f"waybill: {name}: FAILED the inventory is not to be seen in {layout.root}"
                    " after `latency-wait` seconds; give it more and run again",
                    file=sys.stderr,
                )
                sys.exit(EXIT_FAILED)
            time.sleep(0.5)

    def _check_triggers(self) -> None:
        """Refuse a run that would not look: the inventory follows a param that always differs."""
        triggers = {str(trigger).lower() for trigger in self._workflow.rerun_triggers}
        if self._workflow.is_main_process and "params" not in triggers:
            print(
                "waybill: --rerun-triggers without params: the inventory would not be taken again,"
                " and a transfer that does not look is worse than none; add params",
                file=sys.stderr,
            )
            sys.exit(EXIT_CONFIG)

    def _force_look(self) -> None:
        """Have the inventory taken also where Snakemake's own records of it are lost: without them
        it knows of no param that differs."""
        if self._looks_anyway or not self._workflow.is_main_process:
            return
        self._looks_anyway = True
        from snakemake.io import IOFile

        inventories = [Layout(t.results).inventory for t in self.transfers.values()]
        known = self._workflow.persistence.metadata
        if any(path.exists() and known(IOFile(os.fspath(path))) is None for path in inventories):
            self._workflow.dag.forcerules.add(self._workflow.get_rule("inventory"))

    # Handlers

    def _hold(self) -> None:
        """Lock the results of every transfer, and the folder of a download, for as long as this
        process lives. One that is held by another run is left out of this one."""
        plugin = self._workflow.executor_plugin
        if self._held or not self._workflow.is_main_process or plugin is None:
            return
        if self._workflow.dryrun:
            return
        self._held = True
        for transfer in self.transfers.values():
            try:
                self._locks.append(lock(Layout(transfer.results).lock))
                if transfer.direction == "download" and self._moves:
                    self._hold_folder(transfer)
            except WaybillError as error:
                self._busy[transfer.name] = str(error)
            except OSError as error:
                where = error.filename or transfer.results
                self._busy[transfer.name] = f"{where}: {error.strerror}"

    def _hold_folder(self, transfer: Transfer) -> None:
        """Keep other runs from a destination folder; one that is refused later is not made."""
        folder = transfer.folder.resolve()
        if folder not in self._folders and work_tree(transfer) is None:
            self._locks.append(lock_folder(folder))
            self._folders.add(folder)

    def begin(self) -> None:
        """Lock what this run works on. Ends the process with exit code 1 when another run holds
        all of it.
        """
        if self._interrupts:
            self._interrupts.install()
        self._hold()
        named = any("/" in target for target in self._workflow.dag_settings.targets)
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
            if not self._taken:
                self._before[transfer.name] = state.read(layout).run
            # Snakemake copies an output marked `update` before its job and stumbles over the copy
            # that a killed run left; the folder itself is whole at every moment.
            self._workflow.persistence.cleanup_backup(layout.inventory)
            if self._only_looks:  # the plan of now is asked for, not that of the last move
                layout.plan.unlink(missing_ok=True)

    def end(self, *, success: bool) -> None:
        """Print what became of each transfer; end the process unless all of it went well."""
        _drop_timers()
        codes = []
        transfers = {n: t for n, t in self.transfers.items() if n not in self._busy}
        for transfer in transfers.values():
            if self.verification.wanted:
                layout = self.verification.layout(transfer.name)
                lines, code = conclude_verification(transfer, layout)
            else:
                lines, code = outcome.conclude(transfer, Layout(transfer.results))
            codes.append(code)
            for line in lines:
                print(f"waybill: {transfer.name}: {line}", file=sys.stderr)
        code = outcome.worst(codes)
        if not code and not success:
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
        if code:
            sys.exit(code)

    def _settle(self, code: int, line: str = "") -> None:
        """From here on a signal ends the process with ``code``, and with a line if there is one."""
        if self._interrupts:
            self._interrupts.settle(code, line)

    def _tell_busy(self) -> None:
        for name, text in self._busy.items():
            print(f"waybill: {name}: FAILED {text}", file=sys.stderr)


def _drop_timers() -> None:
    """Cancel the timers that wake Snakemake's scheduler a second after each start of jobs, to see
    whether it may start more. It has ended by now, and the process would wait for them."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


def _tried(layout: Layout, dataset: str, batch: str) -> Path:
    """What tells that a first batch was tried: its marker alone in results of earlier versions."""
    tried, marker = layout.tried(dataset, batch), layout.marker(dataset, batch)
    return marker if marker.exists() and not tried.exists() else tried


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words)) or "(?!)"
