"""The way out through a command: real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from waybill.notify import channels
from waybill.notify.channels import Command
from waybill.notify.message import Item


@pytest.fixture
def script(tmp_path):
    """A command of a test's own: Python text, as an argument vector."""

    def _script(text):
        path = tmp_path / "hook"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{text}\n")
        path.chmod(0o755)
        return (str(path), "an argument", "$HOME")

    return _script


def test_a_command(script, tmp_path, capfd, message):
    out = tmp_path / "out.json"
    argv = script(
        f"got = [sys.argv[1:], json.load(sys.stdin), dict(os.environ)]\n"
        f"json.dump(got, open({str(out)!r}, 'w'))\n"
        "print('said\\x1b')\nprint('told', file=sys.stderr)"
    )
    Command(argv, 10.0).send(message)
    arguments, document, environment = json.loads(out.read_text())
    assert arguments == ["an argument", "$HOME"]
    assert document == message.document()
    assert environment.items() >= message.environment().items()
    assert environment["PATH"] == os.environ["PATH"]
    shown = capfd.readouterr()
    assert (shown.out, sorted(shown.err.splitlines())) == ("", [r"hook: said\x1b", "hook: told"])


def test_what_a_command_leaves_running_holds_nobody_up(script, tmp_path, message):
    """It has none of the run's own streams, which a cron or a pipe would wait for."""
    pid = tmp_path / "pid"
    argv = script(
        "child = os.fork()\nif not child:\n    time.sleep(60)\n"
        f"open({str(pid)!r}, 'w').write(str(child))"
    )
    Command(argv, 10.0).send(message)
    left = int(pid.read_text())
    assert not gone(left, seconds=0)
    for stream in ("fd/1", "fd/2"):
        mine = {Path(f"/proc/self/{own}").readlink() for own in ("fd/1", "fd/2")}
        assert Path(f"/proc/{left}/{stream}").readlink() not in mine
    os.kill(left, 9)


def test_a_command_from_home(script, tmp_path, monkeypatch, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    script(f"open({str(tmp_path / 'out')!r}, 'w')")
    Command(("~/hook",), 10.0).send(message)
    assert (tmp_path / "out").exists()


def test_a_command_that_does_not_read(script, message):
    long = replace(message.items[0].report, source="x" * (1 << 20))
    Command(script("sys.stdin.close()"), 10.0).send(
        replace(message, items=(Item(long, ("success",)),))
    )


def test_a_command_that_fails(script, tmp_path, refusal):
    argv = script("sys.exit(3)")
    assert refusal(Command(argv, 10.0)) == f"{argv[0]}: exit code 3"
    assert refusal(Command(("/nowhere/hook",), 10.0)) == "/nowhere/hook: No such file or directory"
    Path(argv[0]).chmod(0o644)
    assert refusal(Command(argv, 10.0)) == f"{argv[0]}: Permission denied"


@pytest.mark.parametrize(
    "first",
    [
        "",
        "signal.signal(15, signal.SIG_IGN)",
        "if not os.fork(): signal.signal(15, signal.SIG_IGN)",
    ],
)
def test_a_command_that_hangs_is_ended_with_all_it_started(
    script, tmp_path, monkeypatch, first, refusal
):
    monkeypatch.setattr(channels, "_KILL_SECONDS", 0.3)
    pids = tmp_path / "pids"
    note = f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')"
    argv = script(f"import signal\n{first}\nos.fork()\n{note}\ntime.sleep(60)")
    begun = time.monotonic()
    assert refusal(Command(argv, 1.0)) == f"{argv[0]}: ended after 1 seconds (`command_timeout`)"
    assert time.monotonic() - begun < 5
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) in (2, 4)
    for pid in started:
        assert gone(pid)


def test_an_interrupt_ends_the_command(script, tmp_path, monkeypatch, message):
    def interrupt(*_):
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    argv = script(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            Command(argv, 30.0).send(message)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert gone(int(pid.read_text()))


def gone(pid, seconds=5):
    """Whether a process ends within the time; one that nobody has waited for yet has."""
    for _ in range(1 + seconds * 20):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
