"""Runs of Snakemake in a fork of the warm interpreter are those of ``python -m snakemake``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.warm import Fork

pytestmark = pytest.mark.timeout(1200)  # seconds, for several runs of Snakemake

TESTS = Path(__file__).parents[2]

# What a run can tell of itself, and how it ends.
SNAKEFILE = """\
import json, os, signal, sys, threading

def fds():
    known = [n for n in os.listdir("/proc/self/fd") if int(n) < 500]  # support.forks.SERVER_FD
    paths = {n: os.path.realpath(f"/proc/self/fd/{n}") for n in known}
    log = paths["1"]
    return [p == log or p for p in map(paths.get, "012")], [
        p for p in paths.values() if "socket:" in p or "pidfd" in p
    ]

print(json.dumps({
    "arguments": sys.argv, "executable": sys.executable, "folder": os.getcwd(),
    "environment": dict(os.environ), "path": sys.path, "streams": fds(),
    "leads": os.getpgrp() == os.getpid(), "threads": threading.active_count(),
    "signals": {n: str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)},
    "waybill": [name for name in sys.modules if name.startswith("waybill")],
}), flush=True)
if config["end"] == "wait":
    signal.pause()
sys.exit(config["end"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "cwd").mkdir()
    return tmp_path


class Told:
    """A run whose output goes to a file."""

    def __init__(self, folder: Path, end: object, *, warm: bool, **more: str) -> None:
        arguments = ["--snakefile", str(folder / "Snakefile"), "-d", str(folder / "work")]
        arguments += ["--cores", "1", "--config", f"end={end}"]
        env = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"} | more
        cwd = folder / "cwd"
        self.log = folder / f"log{len(list(folder.iterdir()))}"
        with self.log.open("wb") as log:
            self.process: Any = (
                Fork(arguments, cwd=cwd, env=env, log=log)
                if warm
                else subprocess.Popen(
                    [sys.executable, "-m", "snakemake", *arguments],
                    cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    process_group=0,
                )
            )  # fmt: skip

    def tells(self) -> dict[str, Any]:
        """What it says of itself, as soon as it does."""
        deadline = time.monotonic() + 300
        while not (lines := [x for x in self.log.read_text().splitlines() if x.startswith("{")]):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return json.loads(lines[0])


def test_a_fork_is_a_run_of_its_own(folder: Path) -> None:
    told = []
    for warm in (False, True, True):
        beside = Told(folder, "wait", warm=True)
        run = Told(folder, 7, warm=warm, OF_THIS_RUN="ü")
        assert run.process.wait(300) == 7
        assert run.process.wait() == run.process.poll() == 7
        told.append(run.tells())
        os.killpg(beside.process.pid, signal.SIGKILL)
    assert told[0] == told[1] == told[2]
    assert told[0]["leads"]
    assert told[0]["environment"]["OF_THIS_RUN"] == "ü"
    assert told[0]["waybill"] == []
    (folder / "Snakefile").write_text("rule all:\n    shell: 'true'\n")
    assert Told(folder, 0, warm=True).process.wait(300) == 0


def test_a_fork_is_waited_for_and_killed(folder: Path) -> None:
    beside, run = (Told(folder, "wait", warm=True) for _ in range(2))
    run.tells()
    assert run.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(0.05)
    os.killpg(run.process.pid, signal.SIGKILL)
    assert run.process.wait(60) == -signal.SIGKILL
    assert beside.process.poll() is None
    os.killpg(beside.process.pid, signal.SIGTERM)
    assert beside.process.wait(60) == -signal.SIGTERM


def test_the_warm_interpreter_ends_with_its_test_process(folder: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom support.warm import Fork\n"
        "run = Fork(['--version'], cwd=Path.cwd(), env=os.environ, log=sys.stdout.buffer)\n"
        "run.wait(300)\nprint('ended', flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TESTS)}, cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)][1] == "ended\n"
        (warm,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    deadline = time.monotonic() + 30
    while Path("/proc", warm, "cmdline").exists():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)
