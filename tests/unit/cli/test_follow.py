"""The run of another terminal is followed by its files, until it has ended."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from support.transfers import transfer_of
from waybill.cli import follow as module
from waybill.cli.commands import options, status
from waybill.cli.documents import of_progress
from waybill.cli.follow import follow, forecast_of, is_running
from waybill.model.transfer import Transfer
from waybill.results import jobs, run_progress, state
from waybill.results.jobs import Job
from waybill.results.layout import Layout
from waybill.results.run_progress import RunProgress
from waybill.system.locks import lock

SCHEMA = Path(__file__).parents[3] / "workflow/schemas/output.schema.json"


class Seen:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.json = False
        self.data: dict[str, Any] = {}
        self.shown: list[str] = []
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.cleared = 0

    def progress(self, what: Any) -> None:
        self.shown.append(str(what))

    def line(self, text: str = "") -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def clear(self) -> None:
        self.cleared += 1


@pytest.fixture
def transfer(tmp_path: Path) -> Transfer:
    """A transfer of whose run one job says how far it is, and ended its inventory."""
    made = transfer_of(tmp_path)
    layout = Layout(made.results)
    state.write(layout, state.State(run="now"))
    run_progress.write(layout, RunProgress(kind="run", begun=1))
    jobs.write_progress(
        layout,
        Job("upload", "d", "b.1", host="node7", time=time.time(), files_total=1, moved=40,
            bytes_total=100, rate=10, large=[("x.bam", 40, 100)]),
    )  # fmt: skip
    return made


def ended(transfer: Transfer) -> None:
    run_progress.write(Layout(transfer.results), RunProgress(kind="run", begun=1, ended=True))


def test_a_run_is_followed_to_its_end(transfer: Transfer, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.05)
    threading.Timer(0.5, ended, (transfer,)).start()
    seen = Seen()
    assert follow(seen, {"t": transfer})  # type: ignore[arg-type]
    assert seen.shown[0] == "Uploading: 0 of 1 file(s), 40 B of 100 B (40 %), 10 B/s, 6 s left"
    assert len(seen.shown) > 2 and seen.cleared == 1


def test_a_lock_says_that_a_run_is_at_work(transfer: Transfer) -> None:
    ended(transfer)
    assert not is_running(transfer)
    held = lock(Layout(transfer.results).lock)
    assert is_running(transfer)
    os.close(held)


def test_old_words_of_a_killed_run_are_no_run(transfer: Transfer) -> None:
    layout = Layout(transfer.results)
    jobs.write_progress(layout, Job("upload", "d", "b.1", time=time.time() - 3_600))
    assert not is_running(transfer)
    assert not follow(Seen(), {"t": transfer})  # type: ignore[arg-type]


def test_a_snapshot(transfer: Transfer) -> None:
    found = of_progress(forecast_of({"t": transfer}).look(), running=True)
    assert found["does"] == "moves" and found["running"]
    assert (found["bytes"], found["bytes_total"], found["bytes_per_second"]) == (40, 100, 10)
    assert found["seconds_left"] == 6
    assert found["jobs"][0]["host"] == "node7"
    assert found["large_files"] == [{"path": "x.bam", "bytes": 40, "size": 100}]
    assert json.loads(json.dumps(found)) == found


def test_the_command(transfer: Transfer, monkeypatch: Any) -> None:
    monkeypatch.setattr(options, "transfers", lambda _: {"t": transfer})
    seen = Seen()
    seen.json = True
    assert status.command(seen, SimpleNamespace(follow=False)) == 3  # type: ignore[arg-type]
    (told,) = seen.data["transfers"]
    assert (told["exit_code"], told["progress"]["bytes"]) == (3, 40)
    document = {"waybill": "0", "command": "status", "time": "", "exit_code": 3, "problems": []}
    jsonschema.validate({**document, **seen.data}, json.loads(SCHEMA.read_bytes()))
    ended(transfer)
    seen.json = False
    status.command(seen, SimpleNamespace(follow=True))  # type: ignore[arg-type]
    assert seen.notes == ["no run is at work here; this is how the last one ended"]
