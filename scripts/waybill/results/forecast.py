"""How far a run is, how fast it is, and how long it takes: one look after the other at what jobs
tell of themselves (``results.run_progress``), on whatever node they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from waybill.model import difference
from waybill.model.units import format_duration, format_size
from waybill.model.verbs import VERIFY
from waybill.results import failures, history, run_progress, state
from waybill.results.batch_tables import read_diff, read_local, read_remote
from waybill.results.jobs import WINDOW_SECONDS, Job
from waybill.results.layout import Layout
from waybill.results.run_progress import MOVES, RunProgress, counted_batches
from waybill.system.files import identity

RECHECK_SECONDS = 20.0  # how often batches without a job are looked for among the proven ones
SILENT_SECONDS = 120.0  # after which a job that writes nothing is taken for lost

if TYPE_CHECKING:
    pass

STARTING = "Starting ..."
LOOKING = "Looking at both sides ..."
COMPARING = "Comparing ..."
CLOSING = "Seeing to the manifest ..."
REPORTING = "Writing the report ..."

Expected = Callable[[Layout], tuple[int, int]]  # of a verification: files and bytes it looks at


@dataclass(slots=True)
class Amount:
    """Bytes that are ``done`` of a ``total``, bytes in a second over the last ``WINDOW_SECONDS``,
    and the seconds that the rest takes at this rate; None where nothing tells."""

    done: int = 0
    total: int = 0
    rate: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """The estimate; None without a rate."""
        left = self.total - self.done
        return left / self.rate if self.rate and left > 0 else None

    def __str__(self) -> str:
        text = share(self.done, self.total)
        if self.rate is None or self.done >= self.total:
            return text
        text = f"{text}, {format_size(self.rate)}/s"
        left = self.seconds_left
        return text if left is None else f"{text}, {format_duration(left)} left"


@dataclass(slots=True)
class Progress:
    """How far a run is. ``starts`` before it has begun, ``looks`` while an inventory is taken,
    ``plans`` when files are compared and not moved, ``verifies`` when they are held against what
    was proven. ``verb`` is the word for what happens to the files. ``jobs`` are those at work,
    ``failed`` is the number of failures. ``ended`` says that the run has ended."""

    verb: str
    starts: bool = False
    looks: bool = False
    plans: bool = False
    verifies: bool = False
    ended: bool = False
    files: int = 0
    files_total: int = 0
    moves: Amount = field(default_factory=Amount)
    hashes: Amount = field(default_factory=Amount)
    repeats: int = 0
    failed: int = 0
    jobs: list[Job] = field(default_factory=list)

    @property
    def large(self) -> list[tuple[str, int, int]]:
        """Large files on their way: path, bytes done, size."""
        return [(path, done, size) for job in self.jobs for path, done, size in job.large]

    @property
    def is_hashing(self) -> bool:
        """Whether files are to be hashed yet."""
        return self.hashes.done < self.hashes.total

    def lines(self) -> list[str]:
        """What there is to say, part by part."""
        if self.starts or self.looks:
            return [STARTING if self.starts else LOOKING]
        told = [f"Hashing: {self.hashes}"] if self.is_hashing else []
        if self.files_total:
            what = f"{self.verb}: {self.files} of {self.files_total} file(s)"
            told.append(f"{what}, {self.moves}" if self.moves.total else what)
        if self.failed:
            told.append(f"{self.failed} failed")
        return [*told, self.closing] if self.closing else told

    @property
    def phase(self) -> str:
        """What the run does, in one word."""
        if self.starts or self.looks:
            return "starts" if self.starts else "looks"
        if self.verifies or self.plans:
            return "verifies" if self.verifies else "plans"
        return "ends" if self.closing else "moves"

    @property
    def closing(self) -> str:
        """What happens when all files have arrived; ``""`` before."""
        if self.is_hashing or self.files < self.files_total:
            return ""
        if self.verifies:
            return REPORTING
        return COMPARING if self.plans else CLOSING

    def __str__(self) -> str:
        return "; ".join(self.lines())


def of_job(job: Job, verb: str) -> list[str]:
    """What there is to say of one job by itself."""
    own = Progress(
        verb,
        files=job.files,
        files_total=job.files_total,
        moves=Amount(job.moved + job.there, job.bytes_total, job.rate or None),
        hashes=Amount(job.hashed, job.hash_total, job.hash_rate or None),
    )
    return [line for line in own.lines() if line != own.closing]


class Forecast:
    """Looks at the run of some transfers. ``verb`` says what happens to the files; ``clock`` gives
    seconds, and can be replaced in tests. The first look at an inventory reads its open batches.
    ``expected`` tells what a verification will look at, where it is known. Runs that began before
    ``since`` (seconds since the epoch) are over: the one that is meant has not begun yet."""

    def __init__(
        self,
        layouts: Iterable[Layout],
        verb: str = "Moving",
        clock: Callable[[], float] = time.monotonic,
        expected: Expected = lambda _: (0, 0),
        since: float = 0.0,
    ) -> None:
        self._transfers = [_Transfer(layout, clock, expected, since) for layout in layouts]
        self._verb, self._clock = verb, clock
        self._moves, self._hashes = Rate(), Rate()

    def look(self) -> Progress:
        """How far the run is now."""
        found = Progress(self._verb)
        looks = [transfer.look(found) for transfer in self._transfers]
        found.looks = bool(looks) and all(looks)
        found.ended = all(transfer.ended for transfer in self._transfers)
        now, parts = self._clock(), self._transfers
        moved, hashed = sum(part.moved for part in parts), sum(part.hashed for part in parts)
        # Until two looks tell a rate, the jobs do.
        own = sum(job.rate + (job.hash_rate if found.verifies else 0) for job in found.jobs)
        found.moves.rate = self._moves.at(now, moved) or own or None
        own = sum(job.hash_rate for job in found.jobs)
        found.hashes.rate = self._hashes.at(now, hashed) or own or None
        if found.verifies:
            found.verb = VERIFY.doing
        return found


class Rate:
    """Bytes in a second over the last seconds, without those before the first byte."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now: float, count: int) -> float | None:
        """The rate when ``count`` bytes are done at ``now`` (seconds); None when none moves."""
        seen = self._seen
        if seen and count < seen[-1][1]:  # another run, or bytes that were taken back
            seen.clear()
        seen.append((now, count))
        if count == seen[0][1]:  # nothing has moved
            while len(seen) > 1:
                seen.popleft()
            return None
        while len(seen) > 2 and seen[1][0] <= now - WINDOW_SECONDS:
            seen.popleft()
        since, before = seen[0]
        return (count - before) / (now - since) if now > since and count > before else None


class _Transfer:
    """One transfer: its open batches that no job has begun, with what is to be done for them."""

    def __init__(
        self, layout: Layout, clock: Callable[[], float], expected: Expected, since: float
    ) -> None:
        self._layout, self._clock, self._expected = layout, clock, expected
        self._since = since
        self.ended = False
        self._state = state.State(run="")
        self._state_of: tuple[int, int, int] | None = None
        # Files and bytes by dataset and batch, and whether a diff tells them.
        self._waiting: dict[tuple[str, str], tuple[int, int, bool]] = {}
        self._unhashed: dict[tuple[str, str], int] = {}
        self._checked = 0.0
        self._heard: dict[str, tuple[float, float]] = {}  # the last words of a job, and when
        self._failed: tuple[tuple[int, int, int] | None, int] = None, 0
        self.moved = self.hashed = 0

    def look(self, found: Progress) -> bool:
        """Add this transfer to what was found. Returns whether its inventory is being taken."""
        layout = self._layout
        run, working = run_progress.look(layout)
        if run.begun < self._since:
            found.starts = True
            return True
        self.ended = run.ended
        here = [job for job in working.values() if self._is_heard(job)]
        found.jobs += here
        self.moved = run.moved + sum(job.moved for job in here)
        self.hashed = run.hashed + sum(job.hashed for job in here)
        found.repeats += run.repeats + sum(job.repeats for job in here)
        if run.kind == history.VERIFY:
            return self._add_verification(found, run, here)
        self._read_state()
        if layout.begun.exists() or not self._state.run:
            return True
        found.failed += self._failures()
        if run.kind == history.PLAN:
            found.plans = True
        else:
            self._add_moves(found, run, here)
        self._add_hashes(found, run, here)
        return False

    def _is_heard(self, job: Job) -> bool:
        now = self._clock()
        last, when = self._heard.get(job.name, (0.0, now))
        if last != job.time:
            self._heard[job.name] = job.time, now
            return True
        return now - when < SILENT_SECONDS

    def _failures(self) -> int:
        seen = identity(self._layout.failures)
        if seen != self._failed[0]:
            self._failed = seen, sum(1 for _ in failures.read(self._layout))
        return self._failed[1]

    def _read_state(self) -> None:
        """Read the state of a new inventory, and its open batches."""
        seen = identity(self._layout.state)
        if seen == self._state_of:
            return
        self._state_of, self._state = seen, state.read(self._layout)
        self._waiting, self._unhashed = {}, {}
        for name in self._state.open:
            dataset, _, batch = name.rpartition("/")
            if self._layout.marker(dataset, batch).exists():
                continue
            files, size, planned = self._to_do(dataset, batch)
            self._waiting[dataset, batch] = files, size, planned
            if not self._layout.checksums(dataset, batch).exists():
                self._unhashed[dataset, batch] = size
        self._checked = self._clock()

    def _to_do(self, dataset: str, batch: str) -> tuple[int, int, bool]:
        """Files and bytes to be moved of a batch: as its diff has them (True), or all of it."""
        layout = self._layout
        try:
            table = read_diff(layout.diff(dataset, batch))
            sizes = [item.size for item in table if item.action == difference.MOVE]
            return len(sizes), sum(sizes), True
        except FileNotFoundError:
            pass
        try:
            sizes = [entry.size for entry in read_local(layout.local(dataset, batch))]
            sizes = sizes or [e.size for e in read_remote(layout.remote(dataset, batch))]
        except FileNotFoundError:
            sizes = []
        return len(sizes), sum(sizes), False

    def _add_moves(self, found: Progress, run: RunProgress, here: list[Job]) -> None:
        self._drop_proven()
        moving = [job for job in here if job.stage in MOVES and job.files_total]
        left = dict(run.undone)
        for job in moving:
            left.pop(f"{job.dataset}/{job.batch}", None)
        begun = {(job.dataset, job.batch) for job in moving} | counted_batches(run, MOVES)
        for batch in begun:
            self._waiting.pop(batch, None)
        waiting = [(files, size) for files, size, _ in self._waiting.values()]
        waiting += [(files, size) for files, size in left.values()]
        found.files += run.files + sum(job.files for job in moving)
        found.files_total += run.files + sum(job.files_total for job in moving)
        found.files_total += sum(files for files, _ in waiting)
        done = run.moved + run.there + sum(job.moved + job.there for job in moving)
        found.moves.done += done
        found.moves.total += done + sum(size for _, size in waiting)
        found.moves.total += sum(max(0, job.bytes_total - job.moved - job.there) for job in moving)

    def _add_hashes(self, found: Progress, run: RunProgress, here: list[Job]) -> None:
        hashing = [job for job in here if job.hash_total]
        begun = {(job.dataset, job.batch) for job in hashing}
        for batch in begun | counted_batches(run, {"checksum", *MOVES}):
            self._unhashed.pop(batch, None)
        apart = "checksum" in run.stages or any(job.stage == "checksum" for job in here)
        waiting = sum(self._unhashed.values()) if apart else 0
        found.hashes.done += self.hashed
        found.hashes.total += self.hashed + waiting
        found.hashes.total += sum(max(0, job.hash_total - job.hashed) for job in hashing)

    def _add_verification(self, found: Progress, run: RunProgress, here: list[Job]) -> bool:
        """The bytes of a verification are those read on both sides."""
        files, size = self._expected(self._layout)
        found.verifies = True
        if not files:
            return True
        here = [job for job in here if job.stage == "verify_batch"]
        self.moved += self.hashed  # one rate of both
        self.hashed = 0
        found.files += run.files + sum(job.files for job in here)
        found.files_total += max(files, found.files)
        found.moves.done += self.moved
        reads = self.moved or any(job.hash_total or job.bytes_total for job in here)
        found.moves.total += max(2 * size if reads else 0, self.moved)
        return False

    def _drop_proven(self) -> None:
        """Forget batches whose jobs have ended unseen. Where there is a diff by now, it tells what
        is to be done."""
        now = self._clock()
        if now - self._checked < RECHECK_SECONDS:
            return
        self._checked = now
        for (dataset, batch), (_, _, planned) in list(self._waiting.items()):
            if self._layout.marker(dataset, batch).exists():
                del self._waiting[dataset, batch]
            elif not planned and self._layout.diff(dataset, batch).exists():
                self._waiting[dataset, batch] = self._to_do(dataset, batch)
        for dataset, batch in list(self._unhashed):
            if self._layout.checksums(dataset, batch).exists():
                del self._unhashed[dataset, batch]


def share(done: int, total: int) -> str:
    """How many bytes are done of a total: ``1.0 GiB of 4.0 GiB (25 %)``."""
    percent = f" ({100 * done // total} %)" if total else ""
    return f"{format_size(done)} of {format_size(total)}{percent}"
