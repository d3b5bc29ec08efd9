"""What the Snakefile asks: the transfers of this run, their targets, its beginning and its end."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from waybill import config as configuration
from waybill import encoding, installed, notify, outcome, state
from waybill.batches import is_first, is_last
from waybill.collector import spare_imports
from waybill.config import Transfer
from waybill.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, ConfigError, WaybillError
from waybill.interrupt import Interrupts
from waybill.layout import Layout
from waybill.lock import lock, lock_folder
from waybill.outcome import Asked
from waybill.resources import project_root
from waybill.sides import work_tree
from waybill.stages import summarise
from waybill.verify_outcome import conclude as conclude_verification
from waybill.verify_run import VerifyRun

DEFAULT_TOML = "config/config.toml"

# Keys of `snakemake --config` that are not settings of a transfer.
_OWN_KEYS = {
    "toml", "transfers", "start", "waybill", "waybill_tree", "defaults", "one_job_per_batch"
}  # fmt: skip

# Targets that look and do not move: rules, and how their files end.
_LOOKING_TARGETS = ("plan", "report")
_LOOKING_FILES = ("/inventory", "/plan.tsv", "/report/plan.html")
# Rules that look and do not move, as `--until` names them.
_LOOKING_RULES = {"inventory", "checksum", "diff", "gather_plan", "plan_page", *_LOOKING_TARGETS}
# Rules with jobs that are known, or whole, after the inventory only.
_CHAIN = {"checksum", "diff", "gather_plan", "upload", "download", "manifest", "publish", "summary"}


class Run:
    """One run of the Snakefile over the chosen transfers."""

    def __init__(self, transfers: dict[str, Transfer], workflow: Any, config: Any) -> None:
        self.transfers = transfers
        self.start = str(config.get("start", time.time_ns()))
        self._workflow = workflow
        # A host that uses the Snakefile as a module may give its rules other names, and calls none
        # of its handlers.
        self._named: Callable[[str], str] = workflow.modifier.modify_rulename
        self._in_host = not workflow.modifier.is_main_snakefile()
        self.verification = VerifyRun(
            transfers, workflow, target=self._named("verify"), in_host=self._in_host
        )
        self._taken = "start" in config  # the inventory is taken for granted
        self._fused = config["one_job_per_batch"]
        self._locks: list[int | None] = []
        self._held = False
        self._looks_anyway = False
        self._folders: set[Path] = set()
        self._busy: dict[str, str] = {}  # transfers that another run holds, and what to say
        # The inventory before that of this run, for each transfer whose new one is awaited.
        self._before: dict[str, str | None] = {}
        self._last: dict[str, str] = {}  # the same, for the verdict
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
            self._hold_in_host()
            return [os.fspath(self.transfers[free].results / name) for free in self._free()]

        return files

    def last(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: all that is to be made of every transfer. Before the inventory there
        are no jobs of a rule that ``--until`` names, and Snakemake would do nothing at all: their
        files are asked for instead."""
        summaries = self.per_transfer("summary.tsv")

        def files(wildcards: Any) -> list[str]:
            found, rules = summaries(wildcards), self._until
            if not rules:
                return found
            return [
                path for name in self._free() for path in self._made_by(rules, name, checkpoints)
            ]

        return files

    def _made_by(self, rules: set[str], name: str, checkpoints: Any) -> Iterator[str]:
        """The files that these rules make for a transfer."""
        transfer = self.transfers[name]
        of_transfer = SimpleNamespace(results=os.fspath(transfer.results.parent), transfer=name)
        layout = self._after_inventory(checkpoints, of_transfer)
        tables = {
            "checksum": layout.checksums,
            "diff": layout.diff,
            transfer.direction: layout.marker,
        }
        last = {"manifest": layout.manifest}
        if transfer.publishes:
            last["publish"] = layout.publication
        whole = {"gather_plan": layout.plan, "summary": layout.summary}
        yield from (os.fspath(whole[rule]) for rule in rules & whole.keys())
        for dataset, batch in layout.batches():
            for rule in rules & tables.keys():
                if rule != "checksum" or transfer.direction == "upload":
                    yield os.fspath(tables[rule](dataset, batch))
        for dataset in {dataset for dataset, _ in layout.batches()}:
            yield from (os.fspath(last[rule](dataset)) for rule in rules & last.keys())

    def _free(self) -> list[str]:
        """The transfers that no other run holds."""
        return [name for name in self.transfers if name not in self._busy]

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

    def to_hash(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the files of a batch to be hashed."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            return [os.fspath(layout.local(wildcards.dataset, wildcards.batch))]

        return files

    def to_compare(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: what the diff of a batch starts from. Files to upload are hashed
        before; files to download over are hashed only when their size leaves it open."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            tables = [layout.local, layout.remote]
            if self.transfers[wildcards.transfer].direction == "upload":
                tables.append(layout.checksums)
            return [os.fspath(table(wildcards.dataset, wildcards.batch)) for table in tables]

        return files

    def to_move(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: what the upload or download of a batch starts from, and what of other
        batches comes before it: that the first ones were tried, and for a last one the markers of
        all others."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            return self._to_try(layout, wildcards) + self._moved_before(layout, wildcards)

        return files

    def to_try(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: what moving the entries of a batch starts from."""
        return lambda wildcards: self._to_try(self._of_batch(checkpoints, wildcards), wildcards)

    def _moved_before(self, layout: Layout, wildcards: Any) -> list[str]:
        from snakemake.io import ancient

        transfer = self.transfers[wildcards.transfer]
        dataset, batch = wildcards.dataset, wildcards.batch
        others = layout.batches_of(dataset) if transfer.first or transfer.last else ()
        if is_first(batch):
            tried = _tried(layout, dataset, batch)
            before = [tried] if tried != layout.marker(dataset, batch) else []
        elif is_last(batch):
            before = [layout.marker(dataset, other) for other in others if not is_last(other)]
        else:
            before = [_tried(layout, dataset, other) for other in others if is_first(other)]
        return [ancient(os.fspath(path)) for path in before]

    def _to_try(self, layout: Layout, wildcards: Any) -> list[str]:
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
        settings = self._workflow.dag_settings
        if settings.until and settings.until <= set(map(self._named, _LOOKING_RULES)):
            return True
        rules = set(map(self._named, _LOOKING_TARGETS))
        return bool(settings.targets) and all(
            target in rules or target.endswith(_LOOKING_FILES) for target in settings.targets
        )

    @property
    def _until(self) -> set[str]:
        """The rules of this Snakefile that ``--until`` names, where the whole of it is the target
        and the jobs of all of them are known after the inventory only."""
        settings = self._workflow.dag_settings
        names = {self._named(rule): rule for rule in _CHAIN}
        if set(settings.targets) - {self._named("all")} or not settings.until <= names.keys():
            return set()
        return {names[rule] for rule in settings.until}

    def _concerned(self) -> dict[str, Transfer]:
        """The transfers that this run is about: where all targets are files, those they are of."""
        targets = self._workflow.dag_settings.targets
        if not targets or any("/" not in target for target in targets):
            return self.transfers
        files = [Path(target).absolute() for target in targets]
        return {
            name: transfer
            for name, transfer in self.transfers.items()
            if any(file.is_relative_to(transfer.results.absolute()) for file in files)
        }

    def _asked(self, transfer: Transfer) -> Asked:
        """Whether this run was to do all of a transfer, or a part of it."""
        targets = self._workflow.dag_settings.targets
        last = Layout(transfer.results).summary.absolute()
        whole = {self._named("all"), os.fspath(last), os.path.relpath(last)}
        chosen = self._workflow.dag_settings.until
        if self._only_looks or chosen or (targets and whole.isdisjoint(targets)):
            return Asked.PART
        return Asked.ALL

    @property
    def _moves(self) -> bool:
        return not self._only_looks and not self.verification.wanted

    def _of_batch(self, checkpoints: Any, wildcards: Any) -> Layout:
        """The layout of a batch's transfer. A batch that was asked for by name is looked at before
        anything is made for it, as it is in a run that does all; a job need not look again."""
        if not self._workflow.is_main_process:
            return Layout(self.transfers[wildcards.transfer].results)
        layout = self._after_inventory(checkpoints, wildcards)
        if not layout.local(wildcards.dataset, wildcards.batch).exists():
            print(
                f"waybill: {wildcards.transfer}: FAILED there is no batch {wildcards.batch} of"
                f" {wildcards.dataset} any more; see {layout.inventory}",
                file=sys.stderr,
            )
            sys.exit(EXIT_FAILED)
        return layout

    def _after_inventory(self, checkpoints: Any, wildcards: Any) -> Layout:
        self._check_triggers()
        self._force_look()
        self._hold_in_host()
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
        if self._named("inventory") in self._workflow.dag_settings.omit_from:
            print("waybill: --omit-from inventory: nothing would be looked at", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        triggers = {str(trigger).lower() for trigger in self._workflow.rerun_triggers}
        if self._workflow.is_main_process and "params" not in triggers:
            print(
                "waybill: --rerun-triggers without params: the inventory would not be taken again,"
                " and a transfer that does not look is worse than none; add params",
                file=sys.stderr,
            )
            sys.exit(EXIT_CONFIG)

    def _force_look(self) -> None:
        """Have the inventory taken whatever Snakemake knows of the last one. One that is taken for
        granted is taken all the same where it is gone, or Snakemake's record of it."""
        if self._looks_anyway or not self._workflow.is_main_process:
            return
        self._looks_anyway = True
        from snakemake.io import IOFile

        if self._until:
            self._workflow.dag.untilrules.clear()

        known = self._workflow.persistence.metadata
        for transfer in self.transfers.values():
            path = os.fspath(Layout(transfer.results).inventory)
            if not self._taken or not Path(path).exists() or known(IOFile(path)) is None:
                self._workflow.dag.forcefiles.add(path)

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

    def _hold_in_host(self) -> None:
        """The same in a host workflow, which knows nothing of transfers that are left out."""
        if not self._in_host:
            return
        self._hold()
        if self._busy:
            self._tell_busy()
            sys.exit(EXIT_FAILED)

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
                self._last[transfer.name] = state.read(layout).run
                self._before[transfer.name] = self._last[transfer.name]
            # Snakemake copies an output marked `update` before its job and stumbles over the copy
            # that a killed run left; the folder itself is whole at every moment.
            self._workflow.persistence.cleanup_backup(layout.inventory)
            if self._only_looks:  # the plan of now is asked for, not that of the last move
                layout.plan.unlink(missing_ok=True)

    def end(self, *, success: bool) -> None:
        """Print what became of each transfer; end the process unless all of it went well."""
        _drop_timers()
        codes, explained = [], False
        transfers = {n: t for n, t in self._concerned().items() if n not in self._busy}
        for transfer in transfers.values():
            lines, code = self._conclude(transfer)
            codes.append(code)
            explained |= any(line.startswith("FAILED ") for line in lines)
            explained |= self.verification.wanted and code != EXIT_OK
            for line in lines:
                print(f"waybill: {transfer.name}: {line}", file=sys.stderr)
        code = outcome.worst(codes)
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
        if code:
            sys.exit(code)

    def _conclude(self, transfer: Transfer) -> tuple[list[str], int]:
        """The last lines about a transfer and its exit code; no verdict where nobody looked."""
        if self.verification.wanted:
            return conclude_verification(transfer, self.verification.layout(transfer.name))
        layout = Layout(transfer.results)
        found, asked = outcome.read(transfer, layout), self._asked(transfer)
        if not (self._taken or found.blind) and found.run == self._last.get(transfer.name):
            text = "nothing was looked at, so there is no verdict; run again, for all of it"
            return [text], EXIT_FAILED
        if found.failures and found.is_whole and not found.blind and layout.plan.exists():
            # The job failed with the verdict, and its table with it; people want it all the same.
            # The next inventory removes it.
            summarise(layout)
        return outcome.lines(found, transfer, layout, asked), found.code(asked)

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
