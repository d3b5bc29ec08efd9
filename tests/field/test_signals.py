"""A signal at any moment: the end comes soon, leaves nothing at work, and the next run goes on.

TEST_MOMENT_SECONDS sets how far apart the moments of a run's life are, in place of a few of them,
and has the jobs start as new interpreters, which at first import for a while.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import SCRIPTS, Door
from sequencing import until

from support.objects import stored
from support.proxy import Proxy, Stall
from support.server import S3Server
from support.warm import Fork
from support.workflow import RUN_TIMEOUT_SECONDS, Finished, Running, Workflow
from waybill.results import journal
from waybill.results.marker import Proof

MOMENTS = 5  # of one way to end a run
FINE = "TEST_MOMENT_SECONDS" in os.environ
# Each moment is a run of its own; of how many a person asks for, no limit is known.
MOMENTS_TIMEOUT_SECONDS = 0 if FINE else 1800
SOON_SECONDS = 15  # five, and what a busy machine takes
FILES = 6
CODES = {
    signal.SIGINT: (130, -signal.SIGINT),
    signal.SIGTERM: (143, -signal.SIGTERM),
    signal.SIGHUP: (129, -signal.SIGHUP),
}
SAID = "waybill: interrupted; run the same command to go on"
NOISE = re.compile(r"Traceback|asyncio|Exception ignored")


class Life:
    """A folder to upload whose runs are ended, and the bytes its files have."""

    def __init__(self, workflow: Workflow, s3: S3Server, bucket: str) -> None:
        self.workflow, self.s3, self.bucket = workflow, s3, bucket
        self.content: dict[str, bytes] = {}
        workflow.configure(t={"destination": f"s3://{bucket}/data", "batch.max_files": 3})
        self.change()

    def change(self) -> None:
        """Other bytes in every file, so that a run has everything to do again."""
        for number in range(FILES):
            self.content[f"f{number}"] = os.urandom(200)
            self.workflow.write(f"f{number}", self.content[f"f{number}"])

    def check_whole(self) -> None:
        """The next run starts at once and does all there is to do."""
        self.workflow.run()
        for name, data in self.content.items():
            assert stored(self.s3, self.bucket, f"data/{name}") == data

    def check_free(self) -> None:
        """No process holds the results."""
        path = self.workflow.folder / "results" / "t" / ".lock"
        if path.exists():
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def send(running: Running, number: int, whom: str) -> Finished:
    """Send a signal to the process or its group, and see it end with nothing left."""
    begun = time.monotonic()
    (os.killpg if whom == "group" else os.kill)(running.process.pid, number)
    run = running.wait(4 * SOON_SECONDS)
    took = time.monotonic() - begun
    assert took < SOON_SECONDS, f"{took:.1f} s\n{run.output}"
    until(lambda: is_empty(running.process.pid), "end of the whole group", SOON_SECONDS)
    return run


def is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def moments(whole: float) -> Iterator[float]:
    """Seconds after the start of a run that lasts ``whole`` seconds; without an end."""
    step = float(os.environ.get("TEST_MOMENT_SECONDS", whole / MOMENTS))
    return (step * number for number in itertools.count())


@pytest.fixture
def life(s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path) -> Life:
    return Life(Workflow(tmp_path / "work", proxy, forks=not FINE), s3, bucket)


@pytest.mark.timeout(MOMENTS_TIMEOUT_SECONDS)
@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_E3_a_signal_at_any_moment_ends_a_run_soon(life: Life, number: int, whom: str) -> None:
    whole = life.workflow.run().seconds
    for moment in itertools.takewhile(lambda t: t < 1.5 * whole, moments(whole)):
        life.change()
        running = life.workflow.start()
        try:
            running.process.wait(moment)
        except subprocess.TimeoutExpired:
            run = send(running, number, whom)
        else:
            run = running.wait()
        assert run.code in (0, *CODES[number]), run.output
        if run.code > 0:  # before it has read the Snakefile, Python ends it
            assert SAID in run.lines
            assert not NOISE.search(run.output), run.output
        life.check_free()
        if run.code == 0:
            break
    life.check_whole()


def test_E3_a_signal_while_jobs_are_rebuilt_ends_a_run(life: Life) -> None:
    """Snakemake holds a lock then that its own handler of SIGTERM takes."""
    for number in range(150):
        life.workflow.write(f"more/{number}", b"x")
    life.workflow.configure(t={"destination": f"s3://{life.bucket}/data", "batch.max_files": 1})
    running = life.workflow.start()
    log = life.workflow.folder / "output.log"
    until(lambda: b"(Rule: inventory)" in log.read_bytes(), "end of the inventory")
    run = send(running, signal.SIGTERM, "process")
    assert run.code == 143
    assert SAID in run.lines
    assert not run.jobs["summary"]
    life.check_free()


@pytest.mark.parametrize("number", CODES)
def test_E3_a_signal_does_not_wait_for_the_store(life: Life, proxy: Proxy, number: int) -> None:
    """The signal reaches Snakemake alone, which has to end the jobs as well."""
    life.workflow.forks = False
    fault = proxy.fault(Stall(60), op="PutObject")
    running = life.workflow.start()
    until(lambda: fault.hits, "upload under way")
    run = send(running, number, "process")
    assert run.code == CODES[number][0]
    assert run.lines == [SAID]
    assert not NOISE.search(run.output), run.output
    life.check_free()
    proxy.faults.clear()
    life.workflow.forks = True
    life.check_whole()


def test_E3_a_run_under_nohup_goes_on(life: Life, proxy: Proxy) -> None:
    held = life.workflow.start(preexec_fn=_ignore_hangups)
    until(lambda: held.requests, "request of the run")
    os.killpg(held.process.pid, signal.SIGHUP)
    held.wait().ended(0)


def _ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.timeout(MOMENTS_TIMEOUT_SECONDS)
def test_E3_a_signal_at_any_moment_ends_a_command_soon(door: Door, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "config").mkdir(parents=True)
    toml = f'[transfers.t]\nsource = "{door.data}"\ndestination = "s3://{door.bucket}/t/"\n'
    (work / "config" / "config.toml").write_text(toml)
    log = tmp_path / "output.log"
    numbers = itertools.cycle([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])

    def start() -> subprocess.Popen[bytes] | Fork:
        for name in range(FILES):
            (door.data / str(name)).write_bytes(os.urandom(200))
        command, arguments = "waybill.cli.main", ["run", "--yes"]
        where: dict[str, Any] = {"cwd": work, "env": door.env()}
        with log.open("wb") as out:
            if not FINE:
                return Fork(arguments, module=command, log=out, **where)
            return subprocess.Popen(
                [sys.executable, "-m", command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                **where,
            )

    begun = time.monotonic()
    assert start().wait(RUN_TIMEOUT_SECONDS) == 0
    whole = time.monotonic() - begun
    for moment, number in zip(moments(whole), numbers, strict=False):
        process = start()
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            sent = time.monotonic()
            os.kill(process.pid, number)
            code = process.wait(4 * SOON_SECONDS)
            assert time.monotonic() - sent < SOON_SECONDS, log.read_text()
        output = log.read_text()
        assert code in (0, *CODES[number]), output
        # Python itself reports an interrupt until it has found the command.
        if moment or number != signal.SIGINT:
            assert not NOISE.search(output), output
        if code == 0 or moment > 1.5 * whole:
            break
    said = door.run("run", "--yes", command="main", cwd=work)
    assert len(door.keys("^t/[0-9]$")) == FILES, said.all
    assert door.run("status", command="main", cwd=work).code == 0


_STUCK = """
import os
from pathlib import Path
from waybill.cli.launch import _Child
with _Child() as child:
    command = "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done"
    child.begin(["/bin/sh", "-c", command], Path.cwd(), dict(os.environ))
    for line in child.lines():
        print(line, end="", flush=True)
    child.wait()
    print("signal", child.signal, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_E3_a_command_does_not_wait_for_a_snakemake_that_hangs(number: int) -> None:
    door = subprocess.Popen(
        [sys.executable, "-c", _STUCK],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        group = int(door.stdout.readline())
        door.send_signal(number)
        assert door.communicate(timeout=SOON_SECONDS)[0].endswith(f"signal {int(number)}\n")
        until(lambda: is_empty(group), "end of the whole group", SOON_SECONDS)
    finally:
        door.kill()
        door.wait()


def test_E3_an_end_writes_what_a_journal_holds_back(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "b.jsonl"
    proof = Proof("a", "t/a", 1, 1, "00", "etag", "", "2026-01-01T00:00:00Z")
    with journal.Journal(path, "run") as held, held.together():
        held.done(proof)
        assert not journal.read([path]).done
        journal.flush()
        assert journal.read([path]).done == {"a": ("run", proof)}


_ODD = """
import asyncio, logging, sys
from pathlib import Path
from waybill.stages import job
job._log_to(Path(sys.argv[1]), "t:upload")
loop = asyncio.new_event_loop()
loop.call_soon(lambda: 1 / 0)
loop.call_soon(loop.stop)
loop.run_forever()
try:
    {}[b"odd"]
except KeyError:
    logging.getLogger("waybill").exception("unexpected error")
"""


def test_E16_tracebacks_are_for_the_log_of_a_job(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", _ODD, str(log)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "waybill: t:upload: unexpected error\n"
    assert "KeyError: b'odd'" in log.read_text()
    assert "ZeroDivisionError" in log.read_text()


def test_E16_an_interrupt_while_jobs_start_is_one_line(life: Life) -> None:
    """The keyboard reaches the jobs too, which import Snakemake for a while before Waybill."""
    life.workflow.run()
    life.change()
    life.workflow.forks = False
    log = life.workflow.folder / "output.log"
    for rest in (0.0, 0.1, 0.2):
        running = life.workflow.start()
        until(lambda: b"Execute 1 jobs" in log.read_bytes(), "start of the inventory")
        time.sleep(rest)
        run = send(running, signal.SIGINT, "group")
        assert run.code == 130
        assert run.lines == [SAID]
        assert not NOISE.search(run.output), run.output
