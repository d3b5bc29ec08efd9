"""A transfer whose jobs run when Snakemake would run them, in this process, so that its plan can be
compared with what the run then does."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest

from support.proxy import Proxy
from support.verifying import Verifying
from support.workflow import read_table
from waybill.model.errors import ReportedError
from waybill.model.transfer import Transfer
from waybill.results import state
from waybill.results.batch_tables import read_diff
from waybill.results.layout import Layout
from waybill.stages import compare, move, rules
from waybill.stages.task import Task


class World(Verifying):
    """Transfer ``t`` in one direction; each setting of a configuration may be given."""

    def __init__(
        self,
        folder: Path,
        proxy: Proxy,
        bucket: str,
        monkeypatch: pytest.MonkeyPatch,
        direction: str = "upload",
        **chosen: Any,
    ) -> None:
        folder.mkdir()
        super().__init__(folder, proxy, bucket, monkeypatch)
        self.direction, self.chosen = direction, chosen
        self._ticks = itertools.count(1)
        self.client = proxy.client()  # of those who change the bucket

    def do(self, what: str, *about: Any) -> None:
        """One step of what may have happened before the plan."""
        client = self.client
        match what, *about:
            case "write", name, body, *recent:
                file = self.data / name
                if any(recent):  # a new inode, and a time so late that its hash is not kept
                    file.unlink(missing_ok=True)
                file.write_bytes(body)
                tick = next(self._ticks)
                ns = time.time_ns() if any(recent) else 1_700_000_000_000_000_000
                os.utime(file, ns=(ns + tick, ns + tick))
            case "put", name, body:
                client.put_object(Bucket=self.bucket, Key=f"x/{name}", Body=body)
            case "remove", name:
                (self.data / name).unlink(missing_ok=True)
            case "delete", name:
                client.delete_object(Bucket=self.bucket, Key=f"x/{name}")
            case "both", name, body:
                self.do("write", name, body, False)
                self.do("put", name, body)
            case "hash", _:
                self.look()
                for batch in self.open():
                    self.compare(batch)
            case _, name:
                self.look()
                self.run(name, one_job=what == "one job")

    @property
    def transfer_now(self) -> Transfer:
        return self.transfer(self.direction, batch={"max_files": 2}, **self.chosen)

    @property
    def layout_now(self) -> Layout:
        return Layout(self.transfer_now.results)

    def look(self) -> None:
        rules.inventory(Task(self.transfer_now, self.layout_now, "inventory"))

    def open(self) -> list[str]:
        """The batches that are not proven."""
        return [name.partition("/")[2] for name in state.read(self.layout_now).open]

    def task(self, batch: str, stage: str) -> Task:
        return Task(self.transfer_now, self.layout_now, stage, "t", batch)

    def compare(self, batch: str) -> None:
        layout = self.layout_now
        if self.direction == "upload" and not layout.checksums("t", batch).exists():
            rules.checksum(self.task(batch, "checksum"))
        if not layout.diff("t", batch).exists():
            compare.compare(self.task(batch, "diff"))

    def run(self, gone: str = "", *, one_job: bool = False) -> None:
        """Move what is open, to the published manifest. The file ``gone`` is away meanwhile."""
        transfer, layout, upload = self.transfer_now, self.layout_now, self.direction == "upload"
        away = self.data / gone
        if has_gone := bool(gone) and upload and away.exists():
            away.rename(self.folder / "away")
        failed = False
        for batch in self.open():
            try:
                if one_job:
                    move.move(self.task(batch, self.direction))
                else:
                    self.compare(batch)
                    (move.upload if upload else move.download)(self.task(batch, self.direction))
            except ReportedError:
                failed = True
        if has_gone:
            (self.folder / "away").rename(away)
        if not failed and state.read(layout).datasets:
            rules.manifest(Task(transfer, layout, "manifest", "t"))
            if transfer.publishes:
                rules.publish(Task(transfer, layout, "publish", "t"))

    def plan(self) -> dict[str, dict[str, str]]:
        """The rows of a plan that does not hash, by path."""
        rules.plan(Task(self.transfer_now, self.layout_now, "gather_plan"), compared=False)
        return {row["path"]: row for row in read_table(self.layout_now.plan).to_dict("records")}

    def compared(self) -> dict[str, tuple[str, str]]:
        """Status and action of each entry of the open batches, as the jobs of the run see them."""
        found = {}
        for batch in self.open():
            self.compare(batch)
            table = self.layout_now.diff("t", batch)
            found |= {d.path: (d.status, d.action) for d in read_diff(table)}
        return found
