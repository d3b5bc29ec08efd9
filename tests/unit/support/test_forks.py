"""A job in a fork of Snakemake finds what it finds in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import forks
from support.warm import Fork

SECONDS = 300  # for a run of Snakemake that takes one on a quiet machine

SNAKEFILE = f"""\
from snakemake.shell import shell

shell.prefix("trap '' INT; exec ")
sys.path.insert(0, {str(forks.ROOT / "scripts")!r})
import waybill.model.units

rule all:
    output: "told"
    script: "job.py"
"""

# What a job can tell of itself, and how it ends.
JOB = """\
import atexit, json, logging, os, signal, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import boto3

number = lambda name: name.isdigit() and int(name) > 2
kinds = {os.path.realpath(f"/proc/self/fd/{n}").split(":")[0]
         for n in os.listdir("/proc/self/fd") if number(n)}
logging.getLogger("of.this.job").warning("by nobody's handler")
told = {
    "arguments": len(sys.argv), "folder": os.getcwd(), "name": __name__,
    "environment": {n: v for n, v in os.environ.items()
                    if n not in ("PWD", "OLDPWD", "SHLVL", "_")},  # the shell's own
    "path": [p for p in sys.path[1:] if os.path.isabs(p)], "file": os.path.basename(__file__),
    "group": os.getpgrp() == os.getpgid(os.getppid()), "threads": threading.active_count(),
    "main": threading.current_thread() is threading.main_thread(),
    "signals": {int(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
    "handlers": {n: [str(type(h)) for h in logging.getLogger(n).handlers]
                 for n in ("", "botocore", "snakemake")},
    "waybill": [name for name in sys.modules if name.startswith("waybill")],
    "encodings": [(s.encoding, s.errors, s.line_buffering) for s in (sys.stdout, sys.stderr)],
    # libffi keeps itself open on some systems
    "open": sorted(k for k in kinds if k != "/dev/null" and not k.startswith("/proc/")
                   and "/libffi.so" not in k),
    "filters": len(warnings.filters) > 0,
}
with open("told", "w") as file:
    json.dump(told, file)
with ThreadPoolExecutor() as pool:
    pool.submit(print, "a thread", flush=True)
atexit.register(print, "its exit")
threading.Timer(0.1, print, ["its last thread"]).start()
end = snakemake.config["end"]
sys.exit(end) if isinstance(end, int) else 1 / 0
"""


def run(folder: Path, end: object, *, warm: bool) -> tuple[int, str, dict[str, Any]]:
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "job.py").write_text(JOB)
    arguments = ["--cores", "1", "--quiet", "--keep-incomplete", "--config", f"end={end}"]
    env = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    with (folder / "log").open("w+b") as log:
        if warm:
            code = Fork(arguments, cwd=folder, env=env, log=log).wait(SECONDS)
        else:
            command = [sys.executable, "-m", "snakemake", *arguments]
            code = subprocess.run(
                command, cwd=folder, env=env, stdout=log, stderr=log, check=False, timeout=SECONDS
            ).returncode
        log.seek(0)
        said = log.read().decode()
    told = json.loads((folder / "told").read_text())
    told["path"] = [path for path in told["path"] if not path.endswith(str(folder))]
    return code, said, {**told, "folder": Path(told["folder"]).name}


@pytest.mark.timeout(3 * SECONDS)
@pytest.mark.parametrize("end", [0, 3, "raise"])
def test_a_job_in_a_fork_is_a_job(tmp_path: Path, end: object) -> None:
    code, said, told = run(tmp_path / "a", end, warm=False)
    in_fork, said_in_fork, told_in_fork = run(tmp_path / "b", end, warm=True)
    assert in_fork == code
    assert told_in_fork == {**told, "folder": "b"}
    for text in ("a thread", "its exit", "its last thread", "by nobody's handler"):
        assert said_in_fork.count(f"{text}\n") == said.count(f"{text}\n") == 1
    for text in (said, said_in_fork):
        assert ("ZeroDivisionError" in text) == (end == "raise")
    assert told["waybill"] == []


def test_what_a_fork_cannot_be_is_a_new_interpreter() -> None:
    env = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    assert forks.is_plain(env)
    assert forks.is_plain({**env, "HOME": "/", "PYTHONPATH": str(forks.ROOT / "scripts")})
    for name in ("PYTHONUTF8", "LC_ALL", "LANG", "LD_PRELOAD", "PYTHONPATH"):
        assert not forks.is_plain({**env, name: "other"})
