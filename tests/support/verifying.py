"""Transfers and their verifications without Snakemake: the stages, one after the other, in this
process. What follows from which job is for the tests that run the workflow."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.proxy import Proxy
from support.workflow import read_table, unescape
from waybill.config import read
from waybill.model.errors import ReportedError
from waybill.model.transfer import Transfer
from waybill.results import state
from waybill.results.layout import Layout
from waybill.stages import move as stage_move
from waybill.stages import rules
from waybill.stages.task import Task
from waybill.stages.verify import batch, report, stock
from waybill.verify.layout import Verified, VerifyLayout, read_state


class Verifying:
    """Transfer ``t`` between ``folder/data`` and ``s3://bucket/x`` behind a recording proxy."""

    def __init__(
        self, folder: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in proxy.env().items():
            monkeypatch.setenv(name, value)
        self.folder, self.proxy, self.bucket = folder, proxy, bucket
        self.data, self.results = folder / "data", folder / "results" / "t"
        self.data.mkdir()
        self._runs = itertools.count()

    def transfer(self, direction: str = "upload", **settings: Any) -> Transfer:
        sides = [str(self.data), f"s3://{self.bucket}/x"]
        source, destination = sides if direction == "upload" else sides[::-1]
        toml = self.folder / "config.toml"
        toml.write_text(
            f'[transfers.t]\nsource = "{source}"\ndestination = "{destination}"\n'
            f'results = "{self.folder}/results"\nendpoint_url = "{self.proxy.endpoint_url}"\n'
        )
        return read.load(toml, overrides=settings)["t"]

    def move(self, direction: str = "upload", **settings: Any) -> None:
        """Move all of it, to the published manifest."""
        transfer = self.transfer(direction, **settings)
        layout = Layout(transfer.results)
        rules.inventory(Task(transfer, layout, "inventory"))
        for name, place in state.read(layout).places.items():
            view = transfer.for_dataset(place.folder, place.prefix)
            for _, part in (names for names in state.batches(layout) if names[0] == name):
                stage_move.move(Task(view, layout, direction, name, part))
            rules.manifest(Task(view, layout, "manifest", name))
            if direction == "upload":
                rules.publish(Task(view, layout, "publish", name))
        self.proxy.clear()

    def verify(self, depth: str, direction: str = "upload", **settings: Any) -> dict[str, str]:
        """Sign, side and reason of each line of the report, by path."""
        chosen = {"depth": depth, **settings.pop("verify", {})}
        transfer = self.transfer(direction, verify=chosen, **settings)
        run = f"run-{datetime.now(UTC):%Y%m%d}{next(self._runs)}"
        self.layout = layout = VerifyLayout(transfer.results, run)
        stock(Task(transfer, layout, "stock"))
        for names in layout.to_look():
            batch(Task(transfer, layout, "verify_batch", *names))
        with suppress(ReportedError):  # the verdict, which the report holds too
            report(Task(transfer, layout, "verify_report"))
        return read_report(layout.report)

    @property
    def state(self) -> Verified:
        """What the last verification was about."""
        return read_state(self.layout)

    def signs(self, depth: str, direction: str = "upload", **settings: Any) -> dict[str, str]:
        """Sign and side alone."""
        found = self.verify(depth, direction, **settings)
        return {path: " ".join(said.split()[:2]) for path, said in found.items()}


def read_report(table: Path) -> dict[str, str]:
    """The lines of a report by path: sign, side, reason. Of several datasets a path has its
    dataset in front."""
    rows = read_table(table).to_dict("records")
    several = len({row["dataset"] for row in rows}) > 1
    found = {}
    for row in rows:
        path = unescape(row["path"])
        path = f"{row['dataset']}: {path}" if several else path
        found[path] = f"{row['status']} {row['side']} {row['reason']}".rstrip()
    assert len(found) == len(rows), rows
    return found


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All that stands in a folder of results but what verifications write, the seal of that, the
    records of runs and jobs, and the lock, which names its last holder."""

    def content(path: Path) -> tuple[bytes, int]:
        if path.name != "results.sha256":
            return path.read_bytes(), path.stat().st_mtime_ns
        lines = path.read_bytes().splitlines()
        return b"\n".join(line for line in lines if not line.endswith(b"verify/open.tsv")), 0

    return {
        str(path.relative_to(folder)): content(path)
        for path in folder.rglob("*")
        if path.is_file()
        and "verify" not in path.relative_to(folder).parts[1:2]
        and "logs/jobs" not in path.as_posix()
        and path.name not in (".lock", "history.jsonl", "progress.json")
    }
