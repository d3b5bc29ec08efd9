"""The part of a run that verifies: its input functions, and its beginning."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waybill.model.errors import EXIT_CONFIG, EXIT_FAILED
from waybill.verify.layout import VerifyLayout, expected, read_state

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.results.layout import Layout
    from waybill.stages.snakemake_private import Snakemake


class VerifyRun:
    """The part of a run that verifies. ``target`` is the name of the rule ``verify``, which a host
    workflow may have changed.

    Each verification has its own folder of tables, so that Snakemake makes all of them anew.
    """

    def __init__(
        self, transfers: dict[str, Transfer], snakemake: Snakemake, *, target: str
    ) -> None:
        self._transfers, self._snakemake, self._target = transfers, snakemake, target
        self._run = f"run-{time.time_ns()}"

    @property
    def wanted(self) -> bool:
        """Whether this run verifies. Ends the process with exit code 2 when there are other targets
        too, because nothing would keep them apart."""
        targets = self._snakemake.targets
        if self._target in targets and len(targets) > 1 and not self._snakemake.in_host:
            print("waybill: verify runs by itself; name no other target with it", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        return self._target in targets

    def layout(self, name: str) -> VerifyLayout:
        """The layout of a transfer in this run."""
        return VerifyLayout(self._transfers[name].results, self._run)

    def expected(self, layout: Layout) -> tuple[int, int]:
        """As ``verify.layout.expected``, of a transfer in this run."""
        return expected(VerifyLayout(layout.root, self._run))

    def verdicts(self, _wildcards: Any) -> list[str]:
        """An input function: the verdict on every transfer."""
        snakemake = self._snakemake
        if snakemake.in_host and snakemake.is_main_process and snakemake.executes:
            for name in self._transfers:  # a host calls no handlers of this workflow
                self.begin(name)
        return [os.fspath(self.layout(name).verdict) for name in self._transfers]

    def refuse(self, wildcards: Any) -> list[str]:
        """An input function for the copy of the report. It cannot be a target: ends the process
        with exit code 2."""
        copy = self.layout(wildcards.transfer).copy
        text = "ask for the target verify; --config transfers=NAME chooses"
        print(f"waybill: {wildcards.transfer}: {copy}: {text}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)

    def tables(self, checkpoints: Any) -> Callable[[Any], list[str]]:
        """An input function: all tables of findings of a verification."""

        def files(wildcards: Any) -> list[str]:
            names = {"results": wildcards.results, "transfer": wildcards.transfer}
            checkpoints.stock.get(run=wildcards.run, **names)
            layout = VerifyLayout(self._transfers[wildcards.transfer].results, wildcards.run)
            checked = (layout.checked(*batch) for batch in self._to_look(wildcards, layout))
            return [os.fspath(path) for path in (layout.decided, *checked)]

        return files

    def _to_look(self, wildcards: Any, layout: VerifyLayout) -> list[tuple[str, str]]:
        """The batches that need a closer look, when the tables of all of them are visible: a shared
        file system may show the files of another node late. Ends the process with exit code 1 after
        ``latency-wait`` seconds."""
        end = time.monotonic() + self._snakemake.latency_seconds
        while True:
            found = layout.to_look()
            if layout.verified.exists() and len(found) == read_state(layout).batches:
                return found
            if time.monotonic() > end:
                print(
                    f"waybill: {wildcards.transfer}: FAILED the tables of this run are not to be"
                    f" seen in {layout.looks} after `latency-wait` seconds; give it more",
                    file=sys.stderr,
                )
                sys.exit(EXIT_FAILED)
            time.sleep(0.5)

    def begin(self, name: str) -> None:
        """Remove the files of earlier verifications, and Snakemake's records of them."""
        layout = self.layout(name)
        layout.copy.unlink(missing_ok=True)
        shutil.rmtree(layout.failures, ignore_errors=True)
        for folder in layout.folder.glob("run-*"):
            earlier = VerifyLayout(layout.root, folder.name)
            for path in (
                earlier.verdict,
                earlier.report,
                earlier.looks,
                *folder.glob("checked/*/*.tsv"),
            ):
                self._snakemake.drop_record(path)
            shutil.rmtree(folder, ignore_errors=True)
