"""From the results of a run to messages that arrive, and what is remembered of them."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.sinks import HttpSink, SmtpSink
from support.transfers import transfer_of
from waybill import notify
from waybill.model.failure import Failure
from waybill.model.transfer import Notify, Transfer
from waybill.notify import channels, tell
from waybill.notify.report import LOST_JOB, report
from waybill.results import failures, marker, state
from waybill.results.journal import Journal, mark_listing
from waybill.results.layout import Layout
from waybill.results.marker import Proof

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = "this-run"
SECRET = "HUSHHUSH"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def sink():
    with HttpSink() as running:
        yield running


def wish(**settings):
    default = {
        "on": ("success", "failure"),
        "command_timeout": 10,
        "smtp_port": 25,
        "smtp_security": "none",
    }
    return Notify(**{**default, **settings})


class Fleet:
    """Some transfers and what a run left of each in its results, as the jobs write it."""

    def __init__(self, root: Path):
        self.root = root
        self.transfers: dict[str, Transfer] = {}
        self.codes: dict[str, int] = {}

    def add(self, name, wants=None, **settings):
        default = {
            "name": name, "source": f"/data/{name}", "results": self.root / "results" / name,
            "notify": wants,
        }  # fmt: skip
        self.transfers[name] = transfer_of(
            self.root / name, prefix=f"{name}/", **{**default, **settings}
        )
        self.codes[name] = 0
        self.inventory(name)
        return self

    def layout(self, name):
        return Layout(self.transfers[name].results)

    def inventory(self, name, run=RUN):
        state.write(self.layout(name), state.State(run=run, files=7, bytes=70))

    def batch(self, name, batch=1, *, dataset=None, moved=0, earlier=0, proven=True):
        """One batch; ``moved`` files of 10 bytes went in this run, ``earlier`` ones before."""
        layout, its_dataset, its_batch = self.layout(name), dataset or name, f"b{batch:016x}"
        local = layout.local(its_dataset, its_batch)
        local.parent.mkdir(parents=True, exist_ok=True)
        local.touch()
        proofs = [Proof(f"{n}", f"{n}", 10, 0, "", "e", "", "t") for n in range(moved + earlier)]
        path = layout.journal(its_dataset, its_batch)
        for run, some in (("before", proofs[moved:]), (RUN, proofs[:moved])):
            if some:
                with Journal(path, run) as journal:
                    for proof in some:
                        journal.done(proof)
            if run != RUN and path.exists():
                mark_listing(path, RUN)
        if proven:
            marker.write(layout.marker(its_dataset, its_batch), proofs)
            layout.manifest(its_dataset).parent.mkdir(exist_ok=True)
            layout.manifest(its_dataset).touch()
        return self

    def fail(self, name, *found, stage="upload", dataset=None, batch=1):
        where = (dataset or name, f"b{batch:016x}") if stage != "inventory" else ()
        record = failures.record_path(self.layout(name), stage, *where)
        failures.write(record, [Failure(path, 1, text) for path, text in found])
        self.codes[name] = 1
        return self

    def mend(self, name):
        for record in self.layout(name).failures.iterdir():
            record.unlink()
        self.codes[name] = 0
        return self

    def tell(self, *, now=NOW, environ=None, lost=False):
        """Tell about the run; ``lost`` is one of which Snakemake alone knows that it failed."""
        failed = lost or 1 in self.codes.values()
        code = 1 if failed else max(self.codes.values())
        how = {"code": code, "success": not failed, "now": now, "environ": environ or {}}
        return tell.tell(self.transfers, self.codes, **how)

    def kept(self, name):
        return json.loads((self.transfers[name].results / "notify.json").read_text())


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_a_run_that_moved_something(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", moved=2, earlier=1).batch("a", 2)
    assert fleet.tell() == []
    (posted,) = sink.posted
    (entry,) = posted.json["transfers"]
    assert (entry["files"], entry["bytes"]) == (7, 70)
    assert (entry["moved_files"], entry["moved_bytes"]) == (2, 20)
    assert entry["events"] == ["success"]
    assert not (fleet.transfers["a"].results / "notify.json").exists()


def test_a_run_with_nothing_to_do_is_silent(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", earlier=3)
    fleet.add("b", wish(webhook=sink.url("/j")))
    fleet.codes["b"] = 3
    assert fleet.tell() == []
    assert sink.posted == []


def test_transfers_that_share_a_channel_share_a_message(fleet, sink):
    log, alert, other = sink.url("/log"), sink.url("/alert"), sink.url("/other")
    both = wish(slack_log_webhook=log, slack_alert_webhook="$ALERT")
    fleet.add("a", both).batch("a", moved=1)
    fleet.add("b", both).batch("b", moved=1)
    fleet.add("c", both).batch("c", moved=1, proven=False).fail("c", ("x", "no"), ("y", "no"))
    fleet.add("d", wish(slack_log_webhook=other)).batch("d", moved=1)
    fleet.add("e", wish(slack_alert_webhook=other)).batch("e", proven=False).fail("e", ("z", "no"))
    fleet.add("f", None).batch("f", moved=1)
    assert fleet.tell(environ={"ALERT": alert}) == []
    assert Counter(posted.path for posted in sink.posted) == {"/log": 1, "/alert": 1, "/other": 1}
    (log,), (alert,), (other,) = sink.at("/log"), sink.at("/alert"), sink.at("/other")
    assert "uploaded 2 transfers\n\t\t• a: 1 file, 10 B moved" in log.text
    assert "\n\t\t• b: 1 file, 10 B moved" in log.text and "• c" not in log.text
    assert alert.text.startswith(":x:  *S3 Upload*: Failed uploading 1 transfer\n\t\t• c: 2 failed")
    assert "• d: " in other.text and "• e: 1 failed" in other.text
    assert all(posted.text.endswith("exit code 1") for posted in sink.posted)


def test_all_channels_at_once(fleet, sink, tmp_path):
    out = tmp_path / "out"
    with SmtpSink() as server:
        everything = wish(
            slack_alert_webhook=sink.url("/slack"),
            webhook=sink.url("/json"),
            command=(sys.executable, "-c", f"open({str(out)!r}, 'a').write(input())"),
            email_to=("a@example.org",),
            email_from="w@example.org",
            smtp_host="127.0.0.1",
            smtp_port=server.port,
        )
        fleet.add("a", everything).batch("a", proven=False).fail("a", ("x", "no"))
        for hour in range(3):
            assert fleet.tell(now=NOW + timedelta(hours=hour)) == []
    assert [mail.message["Subject"].split(" (")[0] for mail in server.mails] == [
        "Waybill: a failed"
    ]
    assert json.loads(out.read_text()) == sink.at("/json")[0].json
    assert Counter(posted.path for posted in sink.posted) == {"/slack": 1, "/json": 1}
    assert fleet.kept("a")["told"].keys() == {"slack", "webhook", "command", "email"}


def test_a_failure_over_days(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", proven=False).fail("a", ("x", "no"))
    told = []
    for hour in range(50):
        before = len(sink.posted)
        assert fleet.tell(now=NOW + timedelta(hours=hour)) == []
        told += [hour] * (len(sink.posted) - before)
    assert told == [0, 24, 48]
    first, second, _ = (posted.json["transfers"][0]["failing_since"] for posted in sink.posted)
    assert (first, second) == (None, "2026-11-21T12:00:00.000Z")
    fleet.fail("a", ("x", "no"), ("y", "no"))
    assert fleet.tell(now=NOW + timedelta(hours=50)) == []
    assert [f["path"] for f in sink.posted[-1].json["transfers"][0]["failures"]] == ["x", "y"]
    fleet.mend("a").batch("a", moved=1)
    assert fleet.tell(now=NOW + timedelta(hours=51)) == []
    assert sink.posted[-1].json["transfers"][0]["events"] == ["recovery", "success"]
    assert fleet.kept("a") == {"failing_since": None, "told": {}}
    assert len(sink.posted) == 5


def test_what_fails_is_one_line_and_is_tried_again(fleet, sink):
    url = sink.url(f"/{SECRET}")
    fleet.add("a", wish(slack_log_webhook=url, webhook=sink.url(f"/ok/{SECRET}")))
    fleet.add("b", wish(slack_log_webhook=url))
    for name in "ab":
        fleet.batch(name, proven=False).fail(name, ("x", "no"))
    sink.answers = [(404, {}, b"no_service")]
    lines = fleet.tell()
    assert sorted(lines) == [
        "a: notification to slack failed: answered 404 Not Found (no_service)",
        "a: notification to webhook failed: answered 404 Not Found (no_service)",
    ]
    assert fleet.kept("a") == {"failing_since": "2026-11-21T12:00:00.000Z", "told": {}}
    sink.answers = [(200, {}, b"ok")]
    assert fleet.tell(now=NOW + timedelta(hours=1)) == []
    assert fleet.tell(now=NOW + timedelta(hours=2)) == []
    assert len(sink.posted) == 4


def test_channels_that_hang_do_not_add_up(fleet, sink, monkeypatch):
    monkeypatch.setattr(channels, "ATTEMPT_SECONDS", 0.5)
    sink.answers = [30.0]
    for number in range(6):
        fleet.add(f"t{number}", wish(webhook=sink.url(f"/{number}"))).batch(f"t{number}", moved=1)
    begun = time.monotonic()
    lines = fleet.tell()
    assert time.monotonic() - begun < 2
    assert lines == [f"t{n}: notification to webhook failed: no answer in time" for n in range(6)]


def test_a_channel_that_never_comes_back_is_left_behind(fleet, sink, monkeypatch):
    """As with a server that says a byte now and then, or a name that is looked up for ever."""
    ended = threading.Event()
    monkeypatch.setattr(channels, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(tell, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(channels.post, "post", lambda *_, **__: ended.wait(30))
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", proven=False).fail("a", ("x", "no"))
    begun = time.monotonic()
    assert fleet.tell() == ["a: notification to webhook failed: no answer within 0.2 seconds"]
    assert time.monotonic() - begun < 2
    ended.set()
    assert fleet.kept("a")["told"] == {}


def test_a_full_disk_stops_one_channel_only(fleet, sink, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(channels.tempfile, "TemporaryFile", full)
    fleet.add("a", wish(webhook=sink.url("/j"), command=("true",))).batch("a", moved=1)
    assert fleet.tell() == ["a: notification to command failed: No space left on device"]
    assert len(sink.posted) == 1


def test_a_variable_that_is_not_set_is_named_even_when_there_is_no_news(fleet, sink):
    fleet.add("a", wish(slack_log_webhook="$LOG", webhook=sink.url("/j"))).batch("a", earlier=1)
    assert fleet.tell() == ["a: notification to slack failed: variable LOG is not set"]
    fleet.batch("a", moved=1)
    assert fleet.tell() == ["a: notification to slack failed: variable LOG is not set"]
    assert len(sink.posted) == 1


def test_a_damaged_state_is_set_aside(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", proven=False).fail("a", ("x", "no"))
    kept = fleet.transfers["a"].results / "notify.json"
    kept.write_text("{torn")
    assert fleet.tell() == [f"a: {kept}: damaged; set aside as notify.json.damaged"]
    assert kept.with_name("notify.json.damaged").read_text() == "{torn"
    assert fleet.tell() == []
    assert len(sink.posted) == 1


def test_a_state_that_cannot_be_read_or_written(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", proven=False).fail("a", ("x", "no"))
    kept = fleet.transfers["a"].results / "notify.json"
    kept.mkdir()
    assert fleet.tell() == [f"a: {kept}: Is a directory"]
    assert len(sink.posted) == 1


def test_a_record_that_is_damaged_is_a_failure_itself(fleet, sink):
    for name in "ab":
        fleet.add(name, wish(webhook=sink.url("/j"))).batch(name, moved=1)
    fleet.fail("a", ("x", "no"))
    (record,) = fleet.layout("a").failures.iterdir()
    record.write_text("something else")
    assert fleet.tell(lost=True) == []
    assert f"{record}: damaged: not a table" in str(sink.posted[0].json)


def test_a_job_that_left_no_record(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", moved=1)
    fleet.add("b", wish(webhook=sink.url("/j"))).batch("b", moved=1).batch("b", 2, proven=False)
    assert fleet.tell(lost=True) == []
    done, lost = sink.posted[0].json["transfers"]
    assert (done["transfer"], done["events"]) == ("a", ["success"])
    assert (lost["transfer"], lost["events"], lost["exit_code"]) == ("b", ["failure"], 1)
    assert [f["message"] for f in lost["failures"]] == [LOST_JOB]


def test_a_run_that_failed_nobody_knows_where(fleet, sink):
    fleet.add("a", wish(webhook=sink.url("/j"))).batch("a", earlier=1)
    fleet.add("b", None).batch("b", earlier=1)
    assert fleet.tell(lost=True) == []
    (entry,) = sink.posted[0].json["transfers"]
    assert [f["message"] for f in entry["failures"]] == [LOST_JOB]


def test_a_report_of_runs(fleet):
    """Failures are those of their run, also where a name stands in several, or has dots."""
    fleet.add("seq", preset="illumina", several=True)
    fleet.batch("seq", 1, dataset="r.1", moved=2).batch("seq", 2, dataset="r.1", moved=1)
    fleet.batch("seq", 3, dataset="r.2", moved=1, proven=False)
    fleet.batch("seq", 4, dataset="r.3", moved=1)
    fleet.fail("seq", ("RunInfo.xml", "no"), ("", "gone"), dataset="r.2", batch=3)
    fleet.fail("seq", ("RunInfo.xml", "no"), ("", "gone"), dataset="r.3", batch=4)
    fleet.fail("seq", ("RunInfo.xml", "later"), stage="upload2", dataset="r.2", batch=3)
    layout = fleet.layout("seq")
    failures.write(failures.record_path(layout, "publish", "r.3"), [Failure("", 1, "denied")])
    found = report(fleet.transfers["seq"], 1)
    assert [(f.stage, f.dataset, f.path, f.message) for f in found.failures] == [
        ("publish", "r.3", "", "denied"),
        ("upload", "r.2", "RunInfo.xml", "no"),
        ("upload", "r.2", "", "gone"),
        ("upload", "r.3", "RunInfo.xml", "no"),
    ]
    assert [(*d,) for d in found.datasets] == [
        ("r.1", 3, 30, True),
        ("r.2", 1, 10, False),
        ("r.3", 1, 10, True),
    ]
    assert [d.name for d in found.finished] == ["r.1"]


def test_a_dataset_is_finished_when_its_manifest_is_published(fleet):
    fleet.add("a", publish_prefix="manifests/").batch("a", moved=1)
    assert report(fleet.transfers["a"], 0).finished == ()
    publication = fleet.layout("a").publication("a")
    publication.parent.mkdir()
    publication.touch()
    assert [d.name for d in report(fleet.transfers["a"], 0).finished] == ["a"]


def test_a_blind_inventory_tells_nothing_of_another_run(fleet):
    fleet.add("a").batch("a", moved=3)
    fleet.fail("a", ("old", "of the last run"))
    fleet.fail("a", ("", "no such bucket"), stage="inventory")
    found = report(fleet.transfers["a"], 1)
    assert [f.message for f in found.failures] == ["no such bucket"]
    assert (found.files, found.moved_files, found.datasets) == (0, 0, ())


def test_nothing_is_raised(fleet, monkeypatch, capfd):
    def broken(*_, **__):
        raise TypeError(SECRET)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    fleet.add("a", wish(webhook="http://127.0.0.1:1/x")).batch("a", moved=1)
    for fault, line in (
        (broken, "waybill: notifications failed: unexpected error, TypeError\n"),
        (interrupted, "waybill: notifications given up: interrupted\n"),
    ):
        monkeypatch.setattr(tell, "tell", fault)
        notify.after_run(fleet.transfers, fleet.codes, code=0, success=True)
        assert capfd.readouterr().err == line


def test_nothing_is_looked_at_for_nobody(fleet, monkeypatch):
    monkeypatch.setattr(tell, "tell", None)
    fleet.add("a", None)
    notify.after_run(fleet.transfers, fleet.codes, code=0, success=True)
    fleet.transfers["a"] = replace(fleet.transfers["a"], results=Path("/nowhere"))
    notify.after_run(fleet.transfers, fleet.codes, code=1, success=False)


def test_lines_are_told_with_the_name_of_the_program(fleet, capfd, monkeypatch):
    monkeypatch.delenv("LOG", raising=False)
    fleet.add("a", wish(slack_log_webhook="$LOG")).batch("a", moved=1)
    notify.after_run(fleet.transfers, fleet.codes, code=0, success=True)
    expected = "waybill: a: notification to slack failed: variable LOG is not set\n"
    assert capfd.readouterr().err == expected
