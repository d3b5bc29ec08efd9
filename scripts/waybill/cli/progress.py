"""The progress of a run, read from the files that its jobs write."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from waybill.cli.plan import Plan
from waybill.model.units import format_size
from waybill.results import journal, state
from waybill.results.batch_tables import read_local
from waybill.results.layout import Layout


class Hashing:
    """The progress of target ``plan``: the inventory, then the hashes that are not known.

    ``hashes`` means that all files are hashed, as for an upload. The line then shows hashed bytes.
    """

    def __init__(self, layouts: list[Layout], *, hashes: bool = True) -> None:
        self._layouts = layouts
        self._hashes = hashes
        self._before = [state.read(layout).run for layout in layouts]
        self._sizes: dict[Path, int] = {}

    def text(self) -> str:
        """The progress in one line."""
        done = total = 0
        for layout, before in zip(self._layouts, self._before, strict=True):
            now = state.read(layout)
            if now.run == before:
                return "Looking at both sides ..."
            if not self._hashes:
                continue
            total += now.bytes
            for batch in state.batches(layout):
                if layout.checksums(*batch).exists():
                    done += self._size(layout.local(*batch))
        return f"Hashing and comparing: {_share(done, total)}" if self._hashes else "Comparing ..."

    def _size(self, local: Path) -> int:
        if local not in self._sizes:
            self._sizes[local] = sum(entry.size for entry in read_local(local))
        return self._sizes[local]


class Moving:
    """The progress of the run after the plan: how much of the plans has arrived. ``verb`` is the
    word for it in the line."""

    def __init__(
        self,
        plans: list[tuple[Layout, Plan]],
        clock: Callable[[], float] = time.monotonic,
        verb: str = "Uploading",
    ) -> None:
        self._clock = clock
        self._verb = verb
        self._journals: dict[Path, tuple[str, dict[str, int]]] = {}
        for layout, plan in plans:
            run = state.read(layout).run
            sizes: dict[str, dict[str, int]] = {}
            for move in plan.moves:
                sizes.setdefault(move.dataset, {})[move.path] = move.size
            for dataset, batch in state.batches(layout) if sizes else ():
                self._journals[layout.journal(dataset, batch)] = run, sizes.get(dataset, {})
        self._files = sum(len(plan.moves) for _, plan in plans)
        self._bytes = sum(plan.size for _, plan in plans)
        self._read: dict[Path, tuple[int, tuple[int, int, int]]] = {}
        self._started = clock()
        self._at_start = self.arrived()[2]

    def arrived(self) -> tuple[int, int, int]:
        """Files that have arrived, their bytes, and their bytes with those of unfinished files."""
        counts = [self._arrived(path) for path in self._journals]
        files, whole, size = (sum(column) for column in zip(*counts, (0, 0, 0), strict=True))
        return files, whole, size

    def text(self) -> str:
        """The progress in one line."""
        files, _, size = self.arrived()
        seconds, sent = self._clock() - self._started, size - self._at_start
        return on_the_way(
            self._verb, (files, self._files), (size, self._bytes), sent=sent, seconds=seconds
        )

    def _arrived(self, path: Path) -> tuple[int, int, int]:
        try:
            length = path.stat().st_size
        except FileNotFoundError:
            return 0, 0, 0
        if self._read.get(path, (-1,))[0] != length:
            self._read[path] = (length, self._look(path))
        return self._read[path][1]

    def _look(self, path: Path) -> tuple[int, int, int]:
        run, sizes = self._journals[path]
        record = journal.read([path], run)
        done = record.moved(run).keys() & sizes
        size = sum(sizes[p] for p in done)
        partly = sum(n for p, n in record.in_parts().items() if p in sizes and p not in done)
        return len(done), size, size + partly


def on_the_way(
    verb: str, files: tuple[int, int], size: tuple[int, int], *, sent: int, seconds: float
) -> str:
    """The progress of a transfer in one line. ``files`` and ``size`` are each (arrived, total).
    ``sent`` are the bytes moved in the last ``seconds``."""
    text = f"{verb}: {files[0]} of {files[1]} file(s), {_share(*size)}"
    if sent <= 0 or seconds < 1:
        return text
    rate = sent / seconds
    left = f", {_duration((size[1] - size[0]) / rate)} left" if size[0] < size[1] else ""
    return f"{text}, {format_size(rate, decimal=True)}/s{left}"


def _share(done: int, total: int) -> str:
    percent = f" ({100 * done // total} %)" if total else ""
    return f"{format_size(done, decimal=True)} of {format_size(total, decimal=True)}{percent}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
