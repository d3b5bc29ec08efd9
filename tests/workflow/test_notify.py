"""Notifications of real runs: who hears of what, when, and that no address is left anywhere."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from support.proxy import Proxy, Stall, access_denied
from support.sinks import OK, HttpSink
from support.workflow import Finished, Workflow

SECRET = "T0HUSH/B0HUSH"


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink() as running:
        yield running


@pytest.fixture
def workflow(proxy: Proxy, tmp_path: Path) -> Workflow:
    return Workflow(tmp_path / "work", proxy, env={"no_proxy": "127.0.0.1"})


class ScriptWatch:
    """Keeps the scripts that Snakemake writes for its jobs and removes when they end."""

    def __init__(self, folder: Path) -> None:
        self.seen: dict[str, bytes] = {}
        self._folder, self._ended = folder / ".snakemake" / "scripts", threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> ScriptWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            for path in self._folder.glob("*.py"):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                self.seen[path.name] = max(data, self.seen.get(path.name, b""), key=len)


def check_no_tales(workflow: Workflow, run: Finished) -> None:
    """No address in what a run printed or left; it stands in the configuration alone."""
    assert "HUSH" not in run.output
    files = [Path(top, name) for top, _, names in os.walk(workflow.folder) for name in names]
    tellers = {path for path in files if b"HUSH" in path.read_bytes()}
    assert tellers <= {workflow.folder / "config.toml"}
    assert {p.relative_to(workflow.folder).parts[0] for p in files} >= {"results", ".snakemake"}


def test_success_is_told_once_for_all_transfers_and_idle_runs_are_silent(
    workflow: Workflow, bucket: str, sink: HttpSink, tmp_path: Path
) -> None:
    out = tmp_path / "hook.json"
    write = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read() + chr(10))"
    workflow.env["LAB_SLACK"] = sink.url(f"/slack/{SECRET}")
    wants = {
        "notify.slack_log_webhook": "$LAB_SLACK",
        "notify.webhook": sink.url(f"/trouble/{SECRET}"),
        "notify.command": [sys.executable, "-c", write],
    }
    sink.answers = [(500, {"Retry-After": "0"}, b"HUSH")]
    for path in ("a/1", "a/2", "b/1"):
        workflow.write(path, b"data")
    folders = {name: {"source": str(workflow.source / name)} for name in "ab"}
    places = {name: {"destination": f"s3://{bucket}/{name}"} for name in "ab"}
    workflow.configure(**{name: {**folders[name], **places[name], **wants} for name in "ab"})

    with ScriptWatch(workflow.folder) as watch:
        run = workflow.run()  # the exit code is 0, whatever becomes of the notifications
    assert len(watch.seen) > 5
    assert all(b"HUSH" not in script for script in watch.seen.values())
    assert any(f"s3://{bucket}/a/".encode() in script for script in watch.seen.values())
    troubles = [line for line in run.lines if "notification" in line]
    trouble = "failed: answered 500 Internal Server Error"
    assert sorted(troubles) == [
        f"waybill: a: notification to slack {trouble}",
        f"waybill: a: notification to webhook {trouble}",
    ]
    assert len(sink.at(f"/slack/{SECRET}")) == len(sink.at(f"/trouble/{SECRET}")) == 2
    text = sink.at(f"/slack/{SECRET}")[0].text
    assert text.startswith(
        ":white_check_mark:  *S3 Upload*: Successfully uploaded 2 transfers"
        f"\n\t\t• a: 2 files, 8 B moved, to s3://{bucket}/a/"
        f"\n\t\t• b: 1 file, 4 B moved, to s3://{bucket}/b/\n\n"
    )
    assert text.endswith(", exit code 0")
    (document,) = map(json.loads, out.read_text().splitlines())
    assert document == sink.at(f"/trouble/{SECRET}")[0].json
    assert [e["moved_files"] for e in document["transfers"]] == [2, 1]
    check_no_tales(workflow, run)

    sink.posted.clear()
    workflow.run()  # nothing to do
    workflow.proxy.fault(access_denied(), op="ListObjectsV2")
    for target in ("plan", "verify"):  # who only looks is there to see
        workflow.run(target, code=1)
    assert sink.posted == [] and len(out.read_text().splitlines()) == 1
    assert not list(workflow.folder.glob("results/*/notify.json"))


def test_a_failure_is_told_then_daily_then_its_end(
    workflow: Workflow, proxy: Proxy, bucket: str, sink: HttpSink
) -> None:
    url = sink.url(f"/slack/{SECRET}")
    place = {"destination": f"s3://{bucket}/t", "notify.slack_alert_webhook": url}
    workflow.configure(t=place)
    for name in ("bad", "good"):
        workflow.write(name, b"data")
    proxy.fault(access_denied(), op="PutObject", key="t/bad")
    kept = workflow.folder / "results" / "t" / "notify.json"

    check_no_tales(workflow, workflow.run(code=1))
    (first,) = sink.posted
    assert first.text.startswith(
        ":x:  *S3 Upload*: Failed uploading 1 transfer"
        f"\n\t\t• t: 1 failed; 1 file, 4 B moved; {workflow.source} to s3://{bucket}/t/"
        "\n\t\t\t\t◦ bad: "
    )
    assert "access denied" in first.text and first.text.endswith(", exit code 1")
    workflow.run(code=1)
    assert len(sink.posted) == 1

    state = json.loads(kept.read_text())
    told = datetime.fromisoformat(state["told"]["slack"]["time"])
    state["told"]["slack"]["time"] = (told - timedelta(days=1)).isoformat()
    kept.write_text(json.dumps(state))
    check_no_tales(workflow, workflow.run(code=1))
    assert len(sink.posted) == 2
    since = state["failing_since"][:16].replace("T", " ")
    assert f"t: 1 failed, failing since {since} UTC; nothing moved" in sink.posted[1].text

    proxy.faults.clear()
    sink.answers = [OK]
    check_no_tales(workflow, workflow.run())
    assert len(sink.posted) == 3
    assert f"\n\t\t• t: 1 file, 4 B moved, to s3://{bucket}/t/\n\n" in sink.posted[2].text
    assert "*S3 Upload*: No longer failing\n\t\t• t: had been failing" in sink.posted[2].text
    assert json.loads(kept.read_text()) == {"failing_since": None, "told": {}}


def test_an_interrupted_run_tells_nothing(
    workflow: Workflow, proxy: Proxy, bucket: str, sink: HttpSink
) -> None:
    workflow.configure(
        t={"destination": f"s3://{bucket}/t", "notify.webhook": sink.url(f"/{SECRET}")}
    )
    workflow.write("a", b"data")
    fault = proxy.fault(Stall(30), op="PutObject", key="t/a")
    running = workflow.start()
    deadline = time.monotonic() + 60
    while not fault.hits and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.process.pid, signal.SIGINT)
    run = running.wait()
    assert (run.code, len(sink.posted)) == (130, 0)
    check_no_tales(workflow, run)
