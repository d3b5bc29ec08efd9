"""The input functions of the rules. They have the inventory taken before all else."""

from __future__ import annotations

import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from waybill.inventory.batches import is_first, is_last
from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED
from waybill.model.transfer import Transfer
from waybill.results import state
from waybill.results.layout import Layout
from waybill.results.outcome import Asked

# Targets that look and do not move: rules, and how their files end.
_LOOKING_TARGETS = ("plan", "report")
_LOOKING_FILES = ("/inventory", "/plan.tsv", "/report/plan.html")
# Rules that look and do not move, as `--until` names them.
_LOOKING_RULES = {"inventory", "checksum", "diff", "gather_plan", "plan_page", *_LOOKING_TARGETS}
# Rules whose jobs are known, or complete, only after the inventory.
_CHAIN = {"checksum", "diff", "gather_plan", "upload", "download", "manifest", "publish", "summary"}


class Inputs(ABC):
    """The input files of the rules, for the chosen transfers. ``workflow`` is Snakemake's."""

    def __init__(self, transfers: dict[str, Transfer], workflow: Any, config: Any) -> None:
        self.transfers = transfers
        self.start = str(config.get("start", time.time_ns()))
        self._workflow = workflow
        # A host that uses the Snakefile as a module may give its rules other names, and calls none
        # of its handlers.
        self._named: Callable[[str], str] = workflow.modifier.modify_rulename
        self._in_host = not workflow.modifier.is_main_snakefile()
        self._taken = "start" in config  # the inventory is taken for granted
        self._fused = config["one_job_per_batch"]
        self._looks_anyway = False
        self._busy: dict[str, str] = {}  # transfers that another run holds, with a message
        # The last inventory of each transfer; None once the inventory of this run is visible.
        self._before: dict[str, str | None] = {}

    @abstractmethod
    def _hold(self) -> None:
        """Lock the results of every transfer; one that another run holds is among ``_busy``."""

    @abstractmethod
    def _tell_busy(self) -> None:
        """Say which transfers another run holds."""

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
        """An input function: the summary of every transfer. With ``--until`` it gives the files of
        the named rules instead. Those rules have no jobs before the inventory, so Snakemake would
        do nothing."""
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
        for dataset, batch in state.batches(layout):
            for rule in rules & tables.keys():
                if rule != "checksum" or transfer.direction == "upload":
                    yield os.fspath(tables[rule](dataset, batch))
        for dataset in {dataset for dataset, _ in state.batches(layout)}:
            yield from (os.fspath(last[rule](dataset)) for rule in rules & last.keys())

    def _free(self) -> list[str]:
        """The transfers that no other run holds."""
        return [name for name in self.transfers if name not in self._busy]

    def setting(self, name: str) -> Callable[[Any], Any]:
        """A params function: one setting of the job's transfer."""
        return lambda wildcards: getattr(self.transfers[wildcards.transfer], name)

    def diffs(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the diff tables of a transfer, and the tables of its entries in no
        batch. When one job does all stages of a batch, it gives the marker: the diff table is
        written before it."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            table = layout.marker if self._one_job else layout.diff
            tables = [table(dataset, batch) for dataset, batch in state.batches(layout)]
            return [os.fspath(p) for p in (*tables, *sorted(layout.inventory.glob("*.aside.tsv")))]

        return files

    def to_hash(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the files of a batch to be hashed."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            return [os.fspath(layout.local(wildcards.dataset, wildcards.batch))]

        return files

    def to_compare(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the tables that the diff of a batch needs. Files to upload are hashed
        before the diff. Files at the destination of a download are hashed in the diff, and only if
        they have the size of their object."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            tables = [layout.local, layout.remote]
            if self.transfers[wildcards.transfer].direction == "upload":
                tables.append(layout.checksums)
            return [os.fspath(table(wildcards.dataset, wildcards.batch)) for table in tables]

        return files

    def to_move(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the tables that the upload or download of a batch needs, and files of
        the batches that come before it. A last batch waits for the markers of all others. Other
        batches wait until the first ones were tried."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            return self._to_try(layout, wildcards) + self._moved_before(layout, wildcards)

        return files

    def to_try(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the tables that are needed to move the entries of a batch."""
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
        # The type that Snakemake declares for ``ancient`` does not depend on its argument.
        return [ancient(os.fspath(path)) for path in before]  # pyright: ignore[reportReturnType]

    def _to_try(self, layout: Layout, wildcards: Any) -> list[str]:
        batch = wildcards.dataset, wildcards.batch
        tables = [layout.local(*batch), layout.remote(*batch)]
        return [os.fspath(path) for path in (tables if self._one_job else [layout.diff(*batch)])]

    def markers(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the markers of a dataset."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            batches = (b for dataset, b in state.batches(layout) if dataset == wildcards.dataset)
            return [os.fspath(layout.marker(wildcards.dataset, b)) for b in batches]

        return files

    def manifests(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the last file of each dataset of a transfer, which is the record of
        its publication, or its manifest where nothing is published."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            published = self.transfers[wildcards.transfer].publishes
            last = layout.publication if published else layout.manifest
            return [os.fspath(last(d)) for d in sorted({d for d, _ in state.batches(layout)})]

        return files

    @property
    def _one_job(self) -> bool:
        """Whether one job does checksum, diff and upload. It does not when targets only look."""
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
        """The rules that ``--until`` names, if the target is everything and the jobs of all these
        rules are known only after the inventory; otherwise none."""
        settings = self._workflow.dag_settings
        names = {self._named(rule): rule for rule in _CHAIN}
        if set(settings.targets) - {self._named("all")} or not settings.until <= names.keys():
            return set()
        return {names[rule] for rule in settings.until}

    def _concerned(self) -> dict[str, Transfer]:
        """The transfers of this run. If all targets are files, only the transfers of the files."""
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

    def _of_batch(self, checkpoints: Any, wildcards: Any) -> Layout:
        """The layout of a batch's transfer. The main process has the inventory taken first, even
        for a batch that was named as a target; a job does not take it again. Ends the process with
        exit code 1 when the batch no longer exists."""
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
        """Wait until all tables of the new inventory are visible: a shared file system may show the
        files of another node late, and the old ones until then. Ends the process with exit code 1
        after ``latency-wait`` seconds."""
        end = time.monotonic() + self._workflow.execution_settings.latency_wait
        while True:
            now = state.read(layout)
            batches = {f"{dataset}/{batch}" for dataset, batch in state.batches(layout)}
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
        """Refuse a run that would not take the inventory. Snakemake takes it because one of its
        params always differs. Ends the process with exit code 2."""
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
        """Have the inventory taken, no matter what Snakemake recorded about the last one. With
        ``start`` it is taken only when the last one, or Snakemake's record of it, is missing."""
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

    def _hold_in_host(self) -> None:
        """Lock the results in a host workflow. Ends the process with exit code 1 when another run
        holds any of them, because a host workflow cannot leave a transfer out."""
        if not self._in_host:
            return
        self._hold()
        if self._busy:
            self._tell_busy()
            sys.exit(EXIT_FAILED)


def _tried(layout: Layout, dataset: str, batch: str) -> Path:
    """The file that shows that a first batch was tried. In results of earlier versions this is its
    marker."""
    tried, marker = layout.tried(dataset, batch), layout.marker(dataset, batch)
    return marker if marker.exists() and not tried.exists() else tried


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words)) or "(?!)"
