"""A round: what is drawn, done, and looked at."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storm import checker, hostile, shots, wire
from storm.checker import Finding, Sides
from storm.hostile import Deed
from storm.shots import Shooter, Shot
from storm.world import KNOWN, World
from support.faults import Call, Fault
from support.workflow import Finished

SCRIPTS = Path(__file__).parents[2] / "scripts"
END_SECONDS = 30  # a run that was told to end has ended by then, on a machine that is busy
RUN_SECONDS = 240
# How often a round has each kind of trouble. What is to be done in a run is not among them.
TROUBLE = {"kill": 0.5, "wire": 0.4, "theirs": 0.35, "results": 0.25, "during": 0.25, "bad": 0.08}


@dataclass
class Round:
    """What happens in one round, all of it drawn before."""

    transfer: str
    engine: str
    one_job: bool
    door: str
    before: list[Deed] = field(default_factory=list)
    faults: list[tuple[str, list[Fault]]] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    during: list[tuple[Deed, str, int]] = field(default_factory=list)
    at_once: bool = False  # the next run begins while jobs of a killed one may be at work
    status_after: bool = False


def draw(rng: random.Random) -> Round:
    """Draw a round."""
    transfer = rng.choice(["up", "down"])
    one = Round(
        transfer,
        rng.choice(["boto3", "native"]),
        rng.random() < 0.5,
        "waybill" if rng.random() < 0.04 else "snakemake",
        at_once=rng.random() < 0.5,
        status_after=rng.random() < 0.3,
    )
    ours, theirs = hostile.FILES, [*hostile.OBJECTS]
    if transfer == "down":
        ours, theirs = [*hostile.OBJECTS, hostile.add_object], hostile.DEST
    one.before += rng.choices(ours, k=rng.choice([1, 2, 3, 6]))
    kinds = {kind for kind, share in TROUBLE.items() if rng.random() < share} or {"kill"}
    if "theirs" in kinds:
        one.before += rng.choices(theirs, k=rng.choice([1, 2, 4]))
    if "results" in kinds:
        one.before += rng.choices(hostile.RESULTS, k=rng.choice([1, 1, 2]))
    if "bad" in kinds:
        one.before.append(rng.choice(hostile.BAD[transfer]))
    if "kill" in kinds:
        one.shots = [
            shots.draw(rng, transfer, one_job=one.one_job) for _ in range(rng.choice([1, 2, 3]))
        ]
    if "wire" in kinds:
        one.faults = [wire.draw(rng, transfer) for _ in range(rng.choice([1, 1, 2, 4]))]
    if "during" in kinds:
        deeds = [*ours, *theirs]
        ops = shots.OPS[transfer]
        one.during = [
            (rng.choice(deeds), rng.choice(ops), rng.choice([0, 1, 3, 9]))
            for _ in range(rng.choice([1, 1, 3]))
        ]
    return one


@dataclass
class Tally:
    """What was done, by kind, and what was found."""

    rounds: int = 0
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    slowest_end: float = 0.0

    def add(self, other: Tally) -> None:
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            elif name == "slowest_end":
                self.slowest_end = max(self.slowest_end, value)
            else:
                setattr(self, name, getattr(self, name) + value)


class Play:
    """Plays rounds in one world."""

    def __init__(self, world: World, tally: Tally, *, server_checks: bool) -> None:
        self.world, self.tally = world, tally
        self._standing = [] if server_checks else [wire.checks()]

    def round(self, one: Round, rng: random.Random) -> list[Finding]:
        """Play one round; what must not be is in the answer, and then the world is over."""
        world = self.world
        self.tally.rounds += 1
        self._say(
            f"-- {one.transfer} {one.engine} {'one job' if one.one_job else 'chain'} {one.door}"
        )
        for deed in one.before:
            self._do(deed, rng)
        findings = list(self._disturbed(one, rng))
        if not findings:
            findings = list(self._left_in_peace(one))
        if not findings and world.proxy.errors:
            vain = [e for e in world.proxy.errors if "had no effect" not in str(e)]
            findings = [Finding("storm itself", repr(error)) for error in vain]
            world.proxy.errors.clear()
        return _one_of_a_kind(findings)

    # --- runs ------------------------------------------------------------------------------------

    def _disturbed(self, one: Round, rng: random.Random) -> Iterator[Finding]:
        world = self.world
        world.touched.clear()
        standing = self._standing
        world.proxy.faults = [fault for _, faults in one.faults for fault in faults] + standing
        for deed, op, after in one.during:
            dice = random.Random(rng.getrandbits(64))
            call = Call(lambda _, deed=deed, dice=dice: self._do(deed, dice, "during"))
            world.proxy.fault(call, op=op, times=1, after=after)
        for shot in one.shots:
            self._say(f"shot: {shot}")
        ended, hit, problems = self._run(one, one.shots)
        yield from problems
        for name, faults in one.faults:
            self.tally.faults[" ".join(name.split(" x")[0].split(" ")[:-1])] += sum(
                f.hits for f in faults
            )
            self._say(f"fault: {name}: {sum(f.hits for f in faults)} hits")
        world.proxy.faults = list(standing)
        if not hit and ended.code in (0, 1):
            world.damaged = False
        if ended.code not in {0, 1, *self._empty(one), *((130, 143, -2, -15, -9) if hit else ())}:
            yield Finding("exit code", f"{ended.code}\n{ended.output[-3000:]}")
        # Before it reads the Snakefile, Snakemake itself shows where it was interrupted.
        if "Traceback" in ended.output and not (hit and "Building DAG" not in ended.output):
            yield Finding("traceback", ended.output[-4000:])
        sides = self._look()
        # A store that sees no checksum keeps what damage made of a body; the next run finds it.
        blind = any(name.startswith(("flip unseen", "no checksum ")) for name, _ in one.faults)
        proven = ended.code == 0 and one.transfer == "up"
        for finding in self._always(sides, proven=proven):
            if not (blind and finding.kind == "invented object"):
                yield finding
        if ended.code == 0:
            yield from self._tell(
                checker.missing(sides, world.eyes, one.transfer, world.touched), ended
            )
        if one.status_after or ended.code:
            yield from self._status(one, sides, ended)

    def _left_in_peace(self, one: Round) -> Iterator[Finding]:
        world = self.world
        for undo in world.undo:
            undo()
        world.undo.clear()
        ended = yield from self._until_it_ends_well(one)
        if ended is None:
            return
        sides = self._look()
        yield from self._tell(checker.missing(sides, world.eyes, one.transfer, set()), ended)
        yield from self._always(sides, proven=one.transfer == "up" and ended.code == 0)
        yield from self._await_orphans()
        gone = {p for p in world.history if p not in checker.wanted_by(sides, world.eyes, "down")}
        yield from checker.leftovers(sides, world.results, gone)
        if not world.uploads_unknown:
            for key in world.eyes.uploads():
                if key.removeprefix(world.eyes.prefix) in sides.source:
                    yield Finding("leftover upload", f"an upload of {key!r} is open after exit 0")
        if one.status_after:
            yield from self._status(one, sides, ended)

    def _until_it_ends_well(self, one: Round) -> Generator[Finding, None, Finished | None]:
        """Run until the exit code is 0: again only where the code 1 has an excuse, which is then
        taken away. The last run, or None where there was none."""
        world = self.world
        while True:
            excuses = {
                "damage": world.damaged,
                "orphans": self._orphans is not None,
                "lies": one.transfer == "down" and bool(world.lies()),
            }
            world.touched.clear()
            ended, _, problems = self._run(one, [])
            yield from problems
            if "Traceback" in ended.output:
                yield Finding("traceback", ended.output[-4000:])
            world.damaged = False
            if ended.code in {0, *self._empty(one)}:
                return ended
            yield from self._always(self._look(), proven=False)
            if ended.code != 1 or not any(excuses.values()):
                yield Finding("clean run fails", f"exit code {ended.code}\n{ended.output[-4000:]}")
                return None
            self._say(f"exit code 1, excused by {excuses}: {ended.lines[:3]}")
            yield from self._await_orphans()
            if excuses["lies"] and not excuses["orphans"]:
                world.mend_lies()

    _orphans: int | None = None  # the group of a killed run that may still be at work

    def _run(self, one: Round, shots_: list[Shot]) -> tuple[Finished, bool, list[Finding]]:
        """One run, its shots, and what is wrong with how it ended."""
        world, problems = self.world, []
        world.configure(one.transfer, one.engine)
        self.tally.runs += 1
        if one.door == "waybill":
            running: Any = Command(world)
        else:
            world.workflow.forks = world.lean and not shots_
            running = world.workflow.start(config=f"one_job_per_batch={one.one_job}")
        log = world.folder / "output.log"
        if one.door == "waybill":
            log = world.folder / ".snakemake" / "waybill.log"
        shooters = [Shooter(s, running.process, log, lambda: running.requests) for s in shots_]
        for shooter in shooters:
            shooter.start()
        begun = time.monotonic()
        told = None
        while running.process.poll() is None:
            time.sleep(0.02)
            hits = [s for s in shooters if s.hit and s.shot.aim != "job"]
            told = told or (time.monotonic() if hits else None)
            if told and time.monotonic() - told > END_SECONDS:
                problems.append(Finding("hang", f"still there {END_SECONDS} s after a signal"))
                running.kill()
            elif time.monotonic() - begun > RUN_SECONDS:
                problems.append(Finding("hang", f"still there after {RUN_SECONDS} s"))
                running.kill()
        if told:
            self.tally.slowest_end = max(self.tally.slowest_end, time.monotonic() - told)
        for shooter in shooters:
            shooter.over.set()
            shooter.join()
            if shooter.hit:
                self.tally.kills[f"{shooter.shot.signal.name} {shooter.shot.aim}"] += 1
        ended = running.wait()
        hit = any(s.hit for s in shooters)
        self.tally.codes[str(ended.code)] += 1
        after = " after a hit" if hit else ""
        self._say(f"{one.transfer} ended with {ended.code}{after}: {_last(ended)}")
        self._orphans = running.process.pid
        if not (one.at_once and any(s.hit and s.shot.aim == "process" for s in shooters)):
            problems += self._await_orphans()
        return ended, hit, problems

    def _await_orphans(self) -> list[Finding]:
        """Wait until the group of the last run is empty."""
        leader, self._orphans = self._orphans, None
        if leader is None:
            return []
        end = time.monotonic() + END_SECONDS
        while left := shots.group(leader):
            if time.monotonic() > end:
                names = [Path("/proc", str(p), "cmdline").read_bytes()[:200] for p in left]
                for pid in left:
                    os.kill(pid, 9)
                return [Finding("orphans", f"left {END_SECONDS} s after the end: {names}")]
            time.sleep(0.02)
        # Snakemake is in a group of its own where a command that started it was killed, and ends
        # when it finds itself alone.
        while (held := list(checker.held(self.world.results))) and time.monotonic() < end:
            time.sleep(0.05)
        return held

    def _empty(self, one: Round) -> set[int]:
        """The exit code of a transfer that has nothing to move, if it has nothing."""
        there = self.world.keys() if one.transfer == "down" else self.world.source_now
        return set() if there else {3}

    # --- looks -----------------------------------------------------------------------------------

    def _look(self) -> Sides:
        return self.world.eyes.look(self.world.source, self.world.dest)

    def _always(self, sides: Sides, *, proven: bool) -> Iterator[Finding]:
        """What holds after every run, however it ended."""
        world = self.world
        yield from checker.invented(sides, world.eyes, world.history)
        yield from checker.outside(
            sides, world.eyes, world.source_now, world.strangers, world.folder, KNOWN
        )
        yield from checker.published(
            sides, world.eyes, world.manifests, world.touched, proven=proven
        )
        world.manifests = dict(sides.manifests)

    def _tell(self, findings: Iterator[Finding], ended: Finished) -> Iterator[Finding]:
        for finding in findings:
            yield Finding(finding.kind + " after exit 0", f"{finding.text}; said {ended.lines}")

    def _status(self, one: Round, sides: Sides, ended: Finished) -> Iterator[Finding]:
        """``waybill status`` says 0 only when all is there."""
        world = self.world
        if self._orphans or world.touched or "looking at both sides" not in ended.output:
            return
        done = subprocess.run(
            [sys.executable, "-m", "waybill.cli.main", "status", "--config", "config.toml"],
            cwd=world.folder, env=_environment(world), capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        self._say(f"status {done.returncode}")
        if "Traceback" in done.stderr:
            yield Finding("traceback", "status: " + done.stderr[-2000:])
        if done.returncode == 0:
            for finding in checker.missing(sides, world.eyes, one.transfer, set()):
                yield Finding(
                    "status 0",
                    f"{finding.text}; the run ended with {ended.code}, status said {done.stdout}",
                )
        elif ended.code == 0:
            yield Finding(
                "status not 0", f"{done.returncode} after exit 0: {done.stdout}{done.stderr}"
            )

    def _do(self, deed: Deed, rng: random.Random, when: str = "before") -> None:
        with self.world.lock:
            text = deed(self.world, rng)
        self.tally.deeds[deed.__name__.replace("_", " ")] += 1
        self._say(f"{when}: {text}")

    def _say(self, text: str) -> None:
        self.world.story.append(text)


def _last(ended: Finished) -> str:
    """What a run said last."""
    return " / ".join((ended.lines or ended.output.splitlines())[-1:])


def _one_of_a_kind(findings: list[Finding]) -> list[Finding]:
    """The first finding of each kind, with the number of the others."""
    counts = Counter(finding.kind for finding in findings)
    first = {finding.kind: finding for finding in reversed(findings)}
    return [
        Finding(
            kind, finding.text + (f" (and {counts[kind] - 1} more)" if counts[kind] > 1 else "")
        )
        for kind, finding in first.items()
    ]


class Command:
    """``waybill run`` at work, in a process group of its own; as ``support.workflow.Running``."""

    def __init__(self, world: World) -> None:
        self._world, self._first = world, len(world.proxy.requests)
        self._begun = time.monotonic()
        self._log = (world.folder / "output.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "waybill.cli.main", "run", "--yes", "--config", "config.toml"],
            cwd=world.folder, env=_environment(world), stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip

    @property
    def requests(self) -> list[Any]:
        return self._world.proxy.requests[self._first :]

    def kill(self) -> None:
        os.killpg(self.process.pid, 9)
        self.process.wait(30)

    def wait(self) -> Finished:
        code = self.process.wait()
        self._log.seek(0)
        output = self._log.read().decode(errors="replace")
        self._log.close()
        return Finished(code, output, time.monotonic() - self._begun, self.requests)


def _environment(world: World) -> dict[str, str]:
    inherited = {
        k: v for k, v in os.environ.items()
        if not k.startswith(("AWS_", "WAYBILL_", "SNAKEMAKE_", "PYTHON"))
    }  # fmt: skip
    own = {"PYTHONPATH": str(SCRIPTS), "HOME": str(world.aside), "WAYBILL_REPORT": "no"}
    return {**inherited, **world.proxy.env(), **own}
