"""The input functions of the rules. They have the inventory taken before all else."""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from waybill.inventory.batches import is_first, is_last
from waybill.model.errors import EXIT_FAILED
from waybill.model.transfer import Transfer
from waybill.report.shown import files as report_files
from waybill.results import state
from waybill.results.batch_tables import batch_of
from waybill.results.layout import Layout
from waybill.results.outcome import Asked
from waybill.stages.look import Look
from waybill.stages.snakemake_private import Snakemake
from waybill.system.resources import project_root

# What a job asks of a cluster in its first attempt.
MEM_MB = 1024
RUNTIME_MINUTES = 240

# Targets that look and do not move: rules, and how their files end.
_LOOKING_TARGETS = ("plan", "report")
_LOOKING_FILES = ("/inventory", "/plan.tsv", "/report/index.html")
# Rules that look and do not move, as `--until` names them.
_LOOKING_BEFORE_PLAN = {"inventory", "checksum", "diff"}
_LOOKING_RULES = {*_LOOKING_BEFORE_PLAN, "gather_plan", "report_page", *_LOOKING_TARGETS}
# Rules whose jobs are known, or complete, only after the inventory.
_CHAIN = {"checksum", "diff", "gather_plan", "upload", "download", "manifest", "publish", "summary"}


class Inputs(ABC):
    """The input files of the rules, for the chosen transfers."""

    def __init__(
        self, transfers: dict[str, Transfer], snakemake: Snakemake, config: Mapping[str, Any]
    ) -> None:
        self.transfers = transfers
        self._snakemake = snakemake
        self._look = Look(transfers, snakemake, config)
        self._hash = bool(config.get("hash"))
        self.start = self._look.start
        self._busy: dict[str, str] = {}  # transfers that another run holds, with a message

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
            self._look.require()
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
            if rules := self._until:
                self._snakemake.forget_until()
            found = summaries(wildcards)
            if not rules:
                return [*found, *self._for_report()]
            return [
                path for name in self._free() for path in self._made_by(rules, name, checkpoints)
            ]

        return files

    def _for_report(self) -> Iterator[str]:
        """The files that ``snakemake --report`` shows, of those that are there. A declared output
        with this mark would end it with an error where it is not there yet."""
        if self._snakemake.executes or self._snakemake.is_dry_run:
            return
        for name, transfer in self.transfers.items():
            for shown in report_files(Layout(transfer.results)):
                caption = project_root() / "workflow" / "report" / shown.caption
                place = (name, shown.subcategory)
                yield self._snakemake.in_report(shown.path, caption, place, shown.labels)

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

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """A resource function: memory of a job on a cluster (MB), more with each attempt. 270 MB of
        it are Snakemake's own."""
        return MEM_MB * attempt

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """A resource function: time of a job on a cluster (minutes), more with each attempt."""
        return RUNTIME_MINUTES * attempt

    def setting(self, name: str) -> Callable[[Any], Any]:
        """A params function: one setting of the job's transfer."""
        return lambda wildcards: getattr(self.transfers[wildcards.transfer], name)

    def to_plan(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the tables that the plan of a transfer is made from, and those of its
        entries in no batch. A plan that does not hash is made from the inventory alone, other plans
        from the diff tables. When one job does all stages of a batch, its marker is given for them:
        the diff table is written before it."""

        def files(wildcards: Any) -> list[str]:
            layout = self._after_inventory(checkpoints, wildcards)
            tables = [layout.local, layout.remote]
            if self.compared(wildcards):
                tables = [layout.marker if self._one_job(wildcards.transfer) else layout.diff]
            found = [table(*names) for names in state.batches(layout) for table in tables]
            return [os.fspath(p) for p in (*found, *sorted(layout.inventory.glob("*.aside.tsv")))]

        return files

    def compared(self, wildcards: Any) -> str:
        """A params function: whether the plan follows from a comparison of every batch, ``yes`` or
        ``""``. One that is all that is wanted does not, unless ``--config hash=true`` asks for
        it."""
        return "yes" if self._hash or not self._only_looks else ""

    def to_hash(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the files of a batch to be hashed."""

        def files(wildcards: Any) -> list[str]:
            layout = self._of_batch(checkpoints, wildcards)
            return [os.fspath(layout.local(wildcards.dataset, wildcards.batch))]

        return files

    def table_of_file(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: the checksum table with the line of one file. Ends the process with
        exit code 1 when no batch has the file, and removes what an earlier run has cut out."""

        def files(wildcards: Any) -> list[str]:
            transfer, dataset, path = wildcards.transfer, wildcards.dataset, wildcards.path
            layout = Layout(self.transfers[transfer].results)
            if not self._snakemake.is_main_process:
                return []
            layout = self._after_inventory(checkpoints, wildcards)
            direction = self.transfers[transfer].direction
            batch = batch_of(layout, dataset, path, direction)
            if batch is None:
                layout.file_checksum(dataset, path).unlink(missing_ok=True)
                self._end(transfer, f"{path}: no file of {dataset} to be moved; see the plan")
            return [os.fspath(layout.checksums(dataset, batch))]

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
        return self._snakemake.ancient(map(os.fspath, before))

    def _to_try(self, layout: Layout, wildcards: Any) -> list[str]:
        batch = wildcards.dataset, wildcards.batch
        tables = [layout.diff(*batch)]
        if self._one_job(wildcards.transfer):
            tables = [layout.local(*batch), layout.remote(*batch)]
        return [os.fspath(path) for path in tables]

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

    def _one_job(self, name: str) -> bool:
        """Whether one job does checksum, diff and move. It does not when targets only look."""
        return self.transfers[name].one_job_per_batch and not self._only_looks

    @property
    def _only_looks(self) -> bool:
        snakemake = self._snakemake
        if snakemake.until and snakemake.until <= set(map(snakemake.named, _LOOKING_RULES)):
            return True
        rules = set(map(snakemake.named, _LOOKING_TARGETS))
        return bool(snakemake.targets) and all(
            target in rules or target.endswith(_LOOKING_FILES) for target in snakemake.targets
        )

    @property
    def _plans(self) -> bool:
        """Whether the plan is what this run is for."""
        named = self._snakemake.until or self._snakemake.targets
        short = set(map(self._snakemake.named, _LOOKING_BEFORE_PLAN))
        return self._only_looks and not all(
            name in short or name.endswith("/inventory") for name in named
        )

    @property
    def _until(self) -> set[str]:
        """The rules that ``--until`` names, if the target is everything and the jobs of all these
        rules are known only after the inventory; otherwise none."""
        snakemake = self._snakemake
        names = {snakemake.named(rule): rule for rule in _CHAIN}
        if snakemake.targets - {snakemake.named("all")} or not snakemake.until <= names.keys():
            return set()
        return {names[rule] for rule in snakemake.until}

    def _concerned(self) -> dict[str, Transfer]:
        """The transfers of this run. If all targets are files, only the transfers of the files."""
        targets = self._snakemake.targets
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
        targets = self._snakemake.targets
        last = Layout(transfer.results).summary.absolute()
        whole = {self._snakemake.named("all"), os.fspath(last), os.path.relpath(last)}
        chosen = self._snakemake.until
        if self._only_looks or chosen or (targets and whole.isdisjoint(targets)):
            return Asked.PART
        return Asked.ALL

    def _of_batch(self, checkpoints: Any, wildcards: Any) -> Layout:
        """The layout of a batch's transfer. The main process has the inventory taken first, even
        for a batch that was named as a target; a job does not take it again. Ends the process with
        exit code 1 when the batch no longer exists."""
        if not self._snakemake.is_main_process:
            return Layout(self.transfers[wildcards.transfer].results)
        layout = self._after_inventory(checkpoints, wildcards)
        if not layout.local(wildcards.dataset, wildcards.batch).exists():
            text = f"there is no batch {wildcards.batch} of {wildcards.dataset} any more"
            self._end(wildcards.transfer, f"{text}; see {layout.inventory}")
        return layout

    def _end(self, name: str, text: str) -> NoReturn:
        """End the process, because a target of a transfer cannot be made."""
        print(f"waybill: {name}: FAILED {text}", file=sys.stderr)
        sys.exit(EXIT_FAILED)

    def _after_inventory(self, checkpoints: Any, wildcards: Any) -> Layout:
        self._look.require()
        self._hold_in_host()
        return self._look.after(checkpoints, wildcards)

    def _hold_in_host(self) -> None:
        """Lock the results in a host workflow. Ends the process with exit code 1 when another run
        holds any of them, because a host workflow cannot leave a transfer out."""
        if not self._snakemake.in_host:
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
