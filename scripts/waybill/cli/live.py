"""The progress of a run on a terminal of any width: bars, numbers, and a line for each large
file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from waybill.model.units import format_duration, format_size
from waybill.results.forecast import Amount, Progress

WIDE = 76  # columns from which on numbers stand in one line
MOST_LARGE = 4  # large files that are shown


class _Console(Console):
    """A console that leaves the cursor visible: a killed command could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class Display:
    """Shows progress on standard error, in place of what it has shown before. ``printable`` makes a
    name harmless for a terminal."""

    def __init__(self, printable: Callable[[str], str]) -> None:
        self._printable = printable
        self._console = _Console(stderr=True, highlight=False)
        self._live: Live | None = None

    def show(self, what: str | Progress) -> None:
        """Show a line, or the progress of a run."""
        if self._live is None:
            self._live = Live(
                console=self._console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(self._rendered(what), refresh=True)

    def clear(self) -> None:
        """Remove what is shown."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _rendered(self, what: str | Progress) -> RenderableType:
        if isinstance(what, str):
            return _text(what)
        return Group(*self._parts(what, self._console.width))

    def _parts(self, progress: Progress, width: int) -> Iterator[RenderableType]:
        if progress.starts or progress.looks:
            yield _text(str(progress))
            return
        if progress.is_hashing:
            yield _bar("Hashing", progress.hashes)
            yield from _numbers([_share(progress.hashes)], progress.hashes, width)
        if progress.files_total:
            files = f"{progress.files} of {progress.files_total} files"
            of_files = Amount(progress.files, progress.files_total)
            yield _bar(progress.verb, progress.moves if progress.moves.total else of_files)
            size = [_share(progress.moves)] if progress.moves.total else []
            yield from _numbers([files, *size], progress.moves, width)
            for path, done, size in progress.large[:MOST_LARGE]:
                yield _file(self._printable(path), done, size, width)
        if told := progress.closing:
            yield _text(told)
        notes = []
        nodes = {job.host for job in progress.jobs}
        if len(nodes) > 1:
            notes.append(f"{len(progress.jobs)} jobs on {len(nodes)} nodes")
        if progress.repeats:
            notes.append(f"{progress.repeats} requests sent again")
        if notes:
            yield _text(", ".join(notes), "dim")
        if progress.failed:
            yield _text(f"{progress.failed} failed", "red")


def _text(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _bar(verb: str, amount: Amount) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    total = max(1, amount.total)
    grid.add_row(verb, ProgressBar(total, amount.done), f"{100 * amount.done // total} %")
    return grid


def _share(amount: Amount) -> str:
    return f"{format_size(amount.done)} of {format_size(amount.total)}"


def _numbers(told: list[str], amount: Amount, width: int) -> Iterator[Text]:
    """What is done, then rate and time left; in one line where there is room."""
    pace = []
    if amount.rate is not None and amount.done < amount.total:
        pace.append(f"{format_size(amount.rate)}/s")
        if (left := amount.seconds_left) is not None:
            pace.append(f"{format_duration(left)} left")
    lines = [told + pace] if width >= WIDE else [[one] for one in told] + [pace]
    for line in lines:
        if line:
            yield _text("  " + ", ".join(line))


def _file(name: str, done: int, size: int, width: int) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    share = f"{100 * done // max(1, size)} %"
    told = f"{share} of {format_size(size)}" if width >= WIDE else share
    grid.add_row(f"  {name}", told)
    return grid
