"""The look at both sides that comes before all else: has the inventory of each transfer taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED
from waybill.results import state
from waybill.results.layout import Layout
from waybill.stages.snakemake_private import Snakemake
from waybill.system.resources import project_root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

_POLL_SECONDS = 0.5


class Look:
    """The look of one run. The inventory is a checkpoint, so the jobs of the chain are known after
    it. Snakemake takes it in every run, because it is forced and its param ``start`` differs.

    A run that executes no jobs (a graph, a summary, a report) takes the last inventory for granted.
    A dry run has it taken by a Snakemake of its own, and then shows the jobs that are left.
    ``config`` is the configuration of the workflow; with ``start`` in it, runs of the same
    ``start`` share one inventory.
    """

    def __init__(
        self, transfers: Mapping[str, Transfer], snakemake: Snakemake, config: Mapping[str, Any]
    ) -> None:
        self._transfers, self._snakemake, self._config = transfers, snakemake, config
        self._start = str(config.get("start", time.time_ns()))
        self._required = False
        self._code = 0  # how the look of a dry run ended
        self._seen: set[str] = set()  # the transfers whose inventory this run has seen
        # The last inventory of each transfer; None once the inventory of this run is visible.
        self._before: dict[str, str | None] = {}
        if snakemake.is_main_process and not snakemake.in_host:
            snakemake.end_dry_run(lambda: self._code)

    @property
    def is_shared(self) -> bool:
        """Whether the inventory may be that of an earlier run."""
        return "start" in self._config

    def start(self, wildcards: Any) -> str:
        """A params function: what differs in every run, so that the inventory is taken. Where no
        job is run, it is that of the last inventory."""
        if self.is_shared or self._snakemake.executes or not self._snakemake.is_main_process:
            return self._start
        return state.read(self._layout(wildcards.transfer)).start or self._start

    def begins(self, name: str, last: str) -> None:
        """Note the ``last`` inventory of a transfer before this run takes its own."""
        self._before[name] = last

    def require(self) -> None:
        """Have the inventory taken, no matter what Snakemake recorded about the last one. With
        ``start`` it is taken only when the last one, or Snakemake's record of it, is missing. Ends
        the process with exit code 2 when Snakemake was told not to take it."""
        self._check()
        if self._required or not self._snakemake.is_main_process:
            return
        self._required = True
        if not self._snakemake.executes:
            if self._snakemake.is_dry_run and not (self.is_shared or self._snakemake.in_host):
                self._look_for_dry_run()
            self._tell_time()
            return
        for transfer in self._transfers.values():
            path = os.fspath(Layout(transfer.results).inventory)
            known = Path(path).exists() and self._snakemake.has_record(path)
            if not (self.is_shared and known):
                self._snakemake.force(path)

    def after(self, checkpoints: Any, wildcards: Any) -> Layout:
        """The layout of a transfer whose inventory was taken."""
        self.require()
        checkpoints.inventory.get(results=wildcards.results, transfer=wildcards.transfer)
        layout = self._layout(wildcards.transfer)
        if self._snakemake.in_host and wildcards.transfer not in self._seen:
            self._seen.add(wildcards.transfer)
            self._snakemake.reconsider()
        if self._before.get(wildcards.transfer) is not None:
            self._await(wildcards.transfer, layout)
        return layout

    def _layout(self, name: str) -> Layout:
        return Layout(self._transfers[name].results)

    def _await(self, name: str, layout: Layout) -> None:
        """Wait until all tables of the new inventory are visible: a shared file system may show the
        files of another node late, and the old ones until then. Ends the process with exit code 1
        after ``latency-wait`` seconds."""
        end = time.monotonic() + self._snakemake.latency_seconds
        while True:
            now = state.read(layout)
            batches = {f"{dataset}/{batch}" for dataset, batch in state.batches(layout)}
            complete = len(batches) == now.batches and batches.issuperset(now.open)
            if complete and now.run not in ("", self._before[name]):
                self._before[name] = None
                return
            if time.monotonic() > end:
                text = (
                    f"FAILED the inventory is not to be seen in {layout.root} after `latency-wait`"
                    " seconds; give it more and run again"
                )
                print(f"waybill: {name}: {text}", file=sys.stderr)
                sys.exit(EXIT_FAILED)
            time.sleep(_POLL_SECONDS)

    def _check(self) -> None:
        """Refuse a run that would not take the inventory. Ends the process with exit code 2."""
        snakemake = self._snakemake
        if snakemake.named("inventory") in snakemake.omitted:
            _refuse("--omit-from inventory: nothing would be looked at")
        if not snakemake.is_main_process:
            return
        if snakemake.touches and not snakemake.in_host:
            _refuse(
                "--touch: new dates prove nothing, and Waybill looks at both sides in any case;"
                " leave it out: what is proven is not moved again"
            )
        if "params" not in snakemake.rerun_triggers:
            _refuse(
                "--rerun-triggers without params: the inventory would not be taken again,"
                " and a transfer that does not look is worse than none; add params"
            )

    def _look_for_dry_run(self) -> None:
        """Take the inventories as a run does, and print what that run says. Where it fails, the dry
        run goes on from the last inventory, and ends with the exit code of the look."""
        print("waybill: looking at both sides for the dry run", file=sys.stderr, flush=True)
        root = project_root()
        own = {"waybill", "waybill_tree", "waybill_alone", "start", "transfers"}
        config = {key: value for key, value in self._config.items() if key not in own}
        config |= {"start": self._start, "transfers": ",".join(self._transfers)}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(config, file, default=str)  # in --config, Snakemake reads `true` as text
            file.flush()
            done = subprocess.run(
                [
                    sys.executable, "-P", "-m", "snakemake",
                    "--snakefile", str(root / "Snakefile"),
                    "--profile", "none",
                    "--workflow-profile", str(root / "workflow" / "profiles" / "default"),
                    "--cores", "1", "--quiet", "all", "--until", "inventory",
                    "--configfile", file.name,
                ],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
            )  # fmt: skip
        self._code = done.returncode

    def _tell_time(self) -> None:
        """Say of each transfer that was not looked at now when it was."""
        for name in self._transfers:
            layout = self._layout(name)
            seen = state.read(layout)
            if not seen.run:
                text = "not looked at yet; a run looks first, and then knows its jobs"
            elif self.is_shared or seen.start == self._start:
                continue
            else:
                when = time.localtime(layout.state.stat().st_mtime)
                text = f"as it was looked at {time.strftime('%Y-%m-%d %H:%M:%S', when)}"
            print(f"waybill: {name}: {text}", file=sys.stderr)


def _refuse(text: str) -> NoReturn:
    print(f"waybill: {text}", file=sys.stderr)
    sys.exit(EXIT_CONFIG)
