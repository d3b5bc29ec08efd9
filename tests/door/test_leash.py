"""Nothing that a command has started outlives it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doors import SCRIPTS
from sequencing import until

# A door: it starts a command that has a child, as Snakemake has jobs, and one that ignores signals.
_DOOR = """
import os, sys
from pathlib import Path
from waybill.cli.launch import _Child
with _Child() as child:
    command = "trap '' TERM INT HUP; sleep 300 & echo $$; echo $!; " + sys.argv[1]
    child.begin(["/bin/sh", "-c", command], Path.cwd(), dict(os.environ))
    for line in child.lines():
        print(line, end="", flush=True)
    print("code", child.wait(), flush=True)
"""


def start(rest: str) -> tuple[subprocess.Popen[str], list[int]]:
    door = subprocess.Popen(
        [sys.executable, "-c", _DOOR, rest],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert door.stdout is not None
    return door, [int(door.stdout.readline()) for _ in range(2)]


def members(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_killed_door_takes_all_along(number: int) -> None:
    door, (leader, child) = start("sleep 300")
    watchers = set(members(leader)) - {leader, child}
    assert len(watchers) >= 1
    door.send_signal(number)
    door.wait()
    until(lambda: not members(leader), "end of all processes", 5)
    door.stdout.close()


def test_an_end_is_told_and_leaves_nothing() -> None:
    door, (leader, _) = start("kill -9 %1 2>/dev/null; kill -9 $!; exit 7")
    assert door.stdout.read() == "code 7\n"
    door.wait()
    until(lambda: not members(leader), "end of all processes", 5)
    door.stdout.close()


def test_the_watcher_holds_out_against_signals() -> None:
    door, (leader, child) = start("sleep 300")
    (watcher,) = (pid for pid in members(leader) if pid not in _tree(leader))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(watcher, number)
    time.sleep(0.1)
    assert {watcher, child} <= set(members(leader))
    door.kill()
    door.wait()
    until(lambda: not members(leader), "end of all processes", 5)
    door.stdout.close()


def _tree(leader: int) -> set[int]:
    """The command and what it runs, all of which were started by their names."""
    names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in members(leader)}
    return {pid for pid, name in names.items() if b"leash" not in name}
