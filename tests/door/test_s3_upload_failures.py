"""``s3-upload monitor`` when something goes wrong: what is told, tried again, and left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sequencing import Core, processes, sent, until

from support.proxy import Delay, access_denied, no_such_bucket
from support.server import ACCESS_KEY, SECRET_KEY
from support.sinks import HttpSink

TOKEN = "T000/B000/never-to-be-seen"


def told(slack: HttpSink, since: int = 0) -> list[str]:
    """What Slack was told, without the line of the host and the time."""
    return [posted.text.rpartition("\n\n")[0] for posted in slack.posted[since:]]


def test_a_file_fails_again_and_again_and_then_is_sent(core: Core) -> None:
    run = core.make_run("run_1")
    for path in ("Data/L002.cbcl", "Data/gone.txt", "Thumbnail_Images/L001/s_1.png"):
        core.add(run, path)
    with HttpSink() as slack:
        section = core.section("A", exclude_patterns=[r"\.png$"])
        core.configure(section, slack_alert_webhook=slack.url(f"/{TOKEN}"))
        core.proxy.fault(access_denied(), op="PutObject", key="*/L002.cbcl")
        said = core.monitor(code=1)
        assert "FAILED run_1/Data/L002.cbcl: " in said.err
        state = core.state("run_1")
        assert state["completed"] is False
        assert (state["total_local_files"], state["total_uploaded_files"]) == (7, 4)
        assert state["failed_upload_files"] == [f"{run}/Data/L002.cbcl"]
        assert state["total_failed_upload"] == 1
        (text,) = told(slack)
        head = ":x:  *S3 Upload*: Failed uploading 1 run\n\t\t• run_1: 1 failed"
        assert text.startswith(head)

        # It goes on failing: that is tried once more, before a new run has its turn, and not told.
        core.make_run("another")
        keys = sent(core.monitor(code=1))
        assert keys.count("run_1/Data/L002.cbcl") == 1
        assert keys[0] == "run_1/Data/L002.cbcl"
        assert len(keys) == 6
        assert core.state("another")["completed"] is True
        (text,) = told(slack, since=1)
        head = (
            ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run\n\t\t• another: 5 files"
        )
        assert text.startswith(head)
        assert ":x:" not in text
        rests = core.monitor(code=1)
        assert rests.requests == []
        assert "FAILED run_1/Data/L002.cbcl: " in rests.err
        assert "held back: failed 2 times, tried again after " in rests.out
        assert len(slack.posted) == 2

        # Mended; meanwhile a file has gone.
        core.failed_before("run_1", hours=2)
        core.proxy.faults.clear()
        (run / "Data/gone.txt").unlink()
        slack.answers = [(404, {}, b"no_service")]
        mended = core.monitor()
        keys = sent(mended)
        assert keys[0] == "run_1/Data/L002.cbcl"
        assert set(keys[1:]) == {"run_1/CopyComplete.txt", "run_1/RTAComplete.txt"}
        state = core.state("run_1")
        assert state["completed"] is True
        assert state["total_local_files"] == state["total_uploaded_files"] == 6
        assert state["total_failed_upload"] == len(state["failed_upload_files"]) == 0
        assert not list(core.uploads.glob("*.retry.json"))
        (text,) = told(slack, since=2)
        head = ":white_check_mark:  *S3 Upload*: Successfully uploaded 1 run\n\t\t• run_1: 3 files"
        assert text.startswith(head)
        assert "No longer failing" in text
        assert "notification to slack failed: answered 404" in core.log()

    files = [p for p in core.home.rglob("*") if p.is_file() and p.name != "config.json"]
    for text in (said.all.encode(), *(path.read_bytes() for path in files)):
        for secret in (TOKEN, SECRET_KEY, ACCESS_KEY):
            assert secret.encode() not in text


def test_what_keeps_a_pass_from_beginning_is_told_once(core: Core) -> None:
    core.make_run("run_1")
    with HttpSink() as slack:
        hooks = {"slack_log_webhook": slack.url("/log"), "slack_alert_webhook": slack.url("/alert")}
        core.configure({"monitored_directories": "A", "bucket": "B"}, max_cores="all", **hooks)
        for _ in range(2):
            said = core.monitor(code=2)
            assert len(said.err.splitlines()) == 4
            assert "max_cores: found text; allowed: a whole number" in said.err
            assert "monitor[0].remote_path: missing" in said.err
        (text,) = told(slack)
        assert text.startswith(":x:  *S3 Upload*: Failed uploading 1 ")
        assert "monitor[0].remote_path: missing" in text

        core.configure(core.section("A"), **hooks)
        said = core.monitor(code=2, AWS_ACCESS_KEY="half")
        assert "AWS_ACCESS_KEY is set and AWS_SECRET_KEY is not" in said.err
        assert "AWS_SECRET_KEY is not" in core.log()
        (text,) = told(slack, since=1)
        assert text.startswith(":warning:  *S3 Upload*: Error in connecting to AWS!")
        assert said.requests == []

        core.proxy.fault(no_such_bucket(core.bucket))
        dry = core.monitor("--dry_run", code=1)
        assert f"bucket '{core.bucket}' does not exist" in dry.err
        assert len(slack.posted) == 2
        core.monitor(code=1)
        over, text = told(slack, since=2)
        assert over.startswith(":white_check_mark:  *S3 Upload*: No longer failing")
        assert text.startswith(":warning:  *S3 Upload*: Error in accessing specified S3 buckets!")
        assert {posted.path for posted in slack.posted} == {"/alert"}


def test_killed_in_the_middle(core: Core) -> None:
    run = core.make_run("run_1")
    for number in range(20):
        core.add(run, f"Data/L002/{number:02}.cbcl", size=20_000)
    core.configure(core.section("A"), max_threads=1, max_cores=2)

    def uploaded() -> dict[str, str]:
        """What the state says, which at every moment is whole."""
        try:
            return core.state("run_1")["uploaded_files"]
        except FileNotFoundError:
            return {}

    def key(path: str) -> str:
        return f"run_1/{Path(path).relative_to(run)}"

    known: list[str] = []
    slow = core.proxy.fault(Delay(0.5), op="PutObject")
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        first = len(core.proxy.requests)
        with core.monitoring() as at_work:
            enough = len(known) + 3
            until(lambda enough=enough: len(uploaded()) >= enough, "files in the state")
            assert len(processes(str(core.log_dir))) > 2, "no job is at work"
            if number == signal.SIGKILL:
                busy = core.monitor()
                assert f"from process {at_work.pid}; nothing done" in busy.out
            at_work.send_signal(number)
            assert at_work.wait(30) == code
            until(lambda: not processes(str(core.log_dir)), "end of all its processes", 5)
        assert core.state("run_1")["completed"] is False
        again = {r.key for r in core.proxy.requests[first:] if r.method == "PUT"}
        assert not again.intersection(map(key, known))
        known = list(uploaded())

    # The next pass starts at once and sends only what is missing.
    core.proxy.faults.remove(slow)
    first = len(core.proxy.requests)
    said = core.monitor()
    assert "at work" not in said.out
    state = core.state("run_1")
    assert state["completed"] is True
    assert state["total_uploaded_files"] == 25
    puts = [r.key for r in core.proxy.requests[first:] if r.op == "PutObject"]
    assert len(puts) == len(set(puts))
    assert not set(puts).intersection(map(key, known))


def _drop_capabilities() -> None:
    """Bind a process of root by permissions, as its user would be."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/log", "file is not a folder"),
        ("closed/deep/log", "no permission to write to {home}/closed; give write permission"),
        ("closed", "no permission to write to {home}/closed"),
    ],
)
def test_log_folder_that_cannot_be_used(core: Core, place: str, message: str) -> None:
    (core.home / "file").write_text("")
    (core.home / "closed").mkdir(mode=0o555)
    config = core.configure(core.section("A"), log_dir=str(core.home / place))
    done = subprocess.run(
        [sys.executable, "-m", "waybill.cli.s3_upload", "monitor", "--config", str(config)],
        env=core.env(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=None if os.geteuid() else _drop_capabilities,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message.format(home=core.home) in line
