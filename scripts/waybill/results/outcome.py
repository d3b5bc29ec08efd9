"""The outcome of a transfer: reads how it stands from its results.

``read`` looks at the files under ``results/{transfer}`` and at nothing else. The last lines of a
run and of ``waybill status`` (``results.closing_lines``), the notifications and the commands of a
community are all made from an ``Outcome``. The outcome of a verification is in ``verify.outcome``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from waybill.model.difference import KEEP, LOOK, MOVE
from waybill.model.errors import EXIT_EMPTY, EXIT_FAILED, EXIT_OK, WaybillError, one_line, worst
from waybill.model.escaping import escape
from waybill.results import failures, journal, marker, state
from waybill.results.batch_tables import ASIDE_COLUMNS, PLAN_COLUMNS, read_local, read_remote
from waybill.results.layout import FOUND, LOCAL_SUFFIX, REMOTE_SUFFIX, Layout
from waybill.system.tsv import rows

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

MOST_REASONS = 20  # why entries are in no batch, that are named


class Asked(Enum):
    """What an exit code is about: ``ALL``, the whole transfer; ``PART``, a part of it or a plan, so
    batches may be open; ``STATUS``, whether the source may be removed."""

    ALL = auto()
    PART = auto()
    STATUS = auto()


class Standing(Enum):
    """How a transfer stands."""

    NEVER = auto()  # no inventory was ever taken
    EMPTY = auto()
    FAILED = auto()
    OPEN = auto()
    PROVEN = auto()


class Failed(NamedTuple):
    """One failure; ``dataset``, ``batch`` and ``path`` are ``""`` where no single one is to blame.
    ``named`` is the path as a user knows it: with its dataset in front where there are several."""

    stage: str
    dataset: str
    batch: str
    path: str
    message: str
    exit_code: int = EXIT_FAILED
    named: str = ""

    def __str__(self) -> str:
        name = self.named or self.path
        return one_line(f"{escape(name)}: {self.message}" if name else self.message)


class Dataset(NamedTuple):
    """One dataset: the files and bytes moved in the last run, the names of its batches, those of
    them that are open, and whether its last file (its manifest, or the record of the publication
    of that) is there."""

    name: str
    moved_files: int
    moved_bytes: int
    batches: tuple[str, ...]
    open: tuple[str, ...]
    listed: bool

    @property
    def complete(self) -> bool:
        """Whether all of it is proven, and its manifest is where it belongs."""
        return not self.open and self.listed


class Planned(NamedTuple):
    """How many entries a plan moves and keeps, and how many with how many bytes it leaves to be
    looked at by the run."""

    move: int
    keep: int
    look: int
    look_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transfer stands.

    ``run`` names the last inventory, ``""`` when there was none. ``files`` and ``bytes`` are those
    of the selection, without datasets that rest unproven (``unproven``). ``failures`` are those
    that still stand, one for each entry. ``blind`` means that they kept the inventory from being
    taken, so nothing else is known. ``held`` is the number of files that wait, and ``aside`` has a
    line for each reason why entries are in no batch. ``lost`` is the number of batches of the last
    inventory whose tables are gone. ``planned`` is what a plan tells, if
    there is one and nothing of it is done. ``damaged`` are lines about files that
    cannot be read. ``overtaken`` means that a later run ended before its inventory, so the last one
    is old.
    """

    run: str = ""
    files: int = 0
    bytes: int = 0
    failures: tuple[Failed, ...] = ()
    blind: bool = False
    held: int = 0
    aside: tuple[str, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    unproven: int = 0
    lost: int = 0
    planned: Planned | None = None
    damaged: tuple[str, ...] = ()
    overtaken: bool = False
    unmatched: int = 0

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return sum(len(dataset.batches) for dataset in self.datasets)

    @property
    def open(self) -> tuple[str, ...]:
        """The batches that are not proven, as ``dataset/batch``."""
        return tuple(f"{d.name}/{batch}" for d in self.datasets for batch in d.open)

    @property
    def moved(self) -> tuple[int, int]:
        """Files and bytes that were moved in the last run."""
        return (
            sum(dataset.moved_files for dataset in self.datasets),
            sum(dataset.moved_bytes for dataset in self.datasets),
        )

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to be done for what the last inventory put into batches."""
        return not (self.lost or self.unproven) and all(d.complete for d in self.datasets)

    @property
    def standing(self) -> Standing:
        """All of it in one word."""
        if self.failures:
            return Standing.FAILED
        if not self.run:
            return Standing.NEVER
        if not self.is_whole:
            return Standing.OPEN
        return Standing.PROVEN if self.files or self.held else Standing.EMPTY

    def code(self, asked: Asked) -> int:
        """The exit code.

        0 tells that what was asked for is done: ``ALL``, all that is to be moved now is proven;
        ``PART``, nothing failed; ``STATUS``, all of it is proven and nothing waits.
        """
        standing = self.standing
        if standing is Standing.FAILED:
            return worst(failure.exit_code for failure in self.failures)
        if self.overtaken and asked is Asked.STATUS:
            return EXIT_FAILED
        if standing is Standing.EMPTY:
            return EXIT_EMPTY
        if standing is Standing.PROVEN:
            return EXIT_FAILED if self.held and asked is Asked.STATUS else EXIT_OK
        return EXIT_OK if asked is Asked.PART else EXIT_FAILED


def read(
    transfer: Transfer,
    layout: Layout,
    *,
    closely: bool = False,
    moved: Callable[[Path, str], Mapping[str, int]] = journal.moved,
) -> Outcome:
    """How a transfer stands, from its results.

    An inventory compares each marker with both sides, so after a run it is enough that a marker is
    there. ``closely`` also holds each marker against the tables of the last inventory: they may
    have been copied, lost or damaged since. ``moved`` is the reader of a journal. Raises
    WaybillError or OSError when the results cannot be read.
    """
    failed = _distinct(standing_failures(layout, several=transfer.several))
    blind = tuple(f for f in failed if f.stage == "inventory" and not f.path)
    if blind:  # no inventory: whatever else stands there is of another run
        return Outcome(failures=blind, blind=True)
    return _of_state(transfer, layout, failed, closely=closely, moved=moved)


def without_failures(transfer: Transfer, layout: Layout) -> Outcome:
    """How a transfer would stand if nothing had failed: what is left to be done of the last
    inventory that was taken."""
    return _of_state(transfer, layout, (), closely=False)


def _of_state(
    transfer: Transfer,
    layout: Layout,
    failed: tuple[Failed, ...],
    *,
    closely: bool,
    moved: Callable[[Path, str], Mapping[str, int]] = journal.moved,
) -> Outcome:
    seen = state.read(layout)
    if not seen.run:
        return Outcome(failures=failed)
    look = _Look(transfer, layout, seen, closely=closely, moved=moved)
    resting = [(name, place) for name, place in seen.places.items() if place.resting]
    unproven = [place for name, place in resting if not look.rests_proven(name, place)]
    datasets = tuple(look.datasets())
    found = sum(len(dataset.batches) for dataset in datasets)
    planned = any(d.open for d in datasets) and not any(d.moved_files for d in datasets)
    return Outcome(
        run=seen.run,
        files=seen.files - sum(place.files for place in unproven),
        bytes=seen.bytes - sum(place.bytes for place in unproven),
        failures=failed,
        held=seen.held,
        aside=tuple(_found(layout) if transfer.several else _aside(layout, seen)),
        datasets=datasets,
        unproven=len(unproven),
        lost=max(0, seen.batches - found),
        planned=_planned(layout) if planned else None,
        damaged=tuple(look.damaged),
        overtaken=layout.begun.exists(),
        unmatched=seen.unmatched,
    )


def is_proven(transfer: Transfer, name: str, place: state.Place) -> bool:
    """Whether all of a dataset was moved, be it at rest or not, and its manifest is where it
    belongs."""
    layout = Layout(transfer.results)
    tables = layout.tables(name).glob(f"*{LOCAL_SUFFIX}")
    markers = [layout.marker(name, table.name.removesuffix(LOCAL_SUFFIX)) for table in tables]
    whole = bool(markers) and all(marker.exists() for marker in markers)
    return whole and not (place.refused or place.held) and _last(transfer, layout, name).exists()


def _last(transfer: Transfer, layout: Layout, dataset: str) -> Path:
    """The file of a dataset that is written last."""
    return layout.publication(dataset) if transfer.publishes else layout.manifest(dataset)


def standing_failures(layout: Layout, *, several: bool = False) -> Iterator[Failed]:
    """The failures that still stand, by stage. So the failure of a checksum or a diff comes before
    that of the upload which follows from it."""
    for record in sorted(layout.failures.glob("*.tsv")):
        stage, dataset, batch = failures.parts_of(record.name)
        for path, exit_code, message, _ in failures.read(layout, record.name):
            named = "/".join(filter(None, (dataset, path))) if several else path
            yield Failed(stage, dataset, batch, path, message, exit_code, named)


def _distinct(found: Iterable[Failed]) -> tuple[Failed, ...]:
    """The first failure of each entry, because its others follow from it; and one failure where
    several batches failed with the same message."""
    first: dict[tuple[str, str], Failed] = {}
    for failure in found:
        first.setdefault((failure.named, "" if failure.path else failure.message), failure)
    return tuple(first.values())


class _Look:
    """Looks at the batches of a transfer once. ``damaged`` has a line for each that cannot be
    read."""

    def __init__(
        self,
        transfer: Transfer,
        layout: Layout,
        seen: state.State,
        *,
        closely: bool,
        moved: Callable[[Path, str], Mapping[str, int]],
    ) -> None:
        self._transfer, self._layout, self._seen = transfer, layout, seen
        self._closely, self._moved = closely, moved
        self.damaged: list[str] = []

    def datasets(self) -> Iterator[Dataset]:
        """The datasets that the last inventory looked at."""
        layout, run = self._layout, self._seen.run
        batches: dict[str, list[str]] = {}
        for dataset, batch in state.batches(layout):
            batches.setdefault(dataset, []).append(batch)
        for dataset, names in batches.items():
            tables = layout.inventory / dataset
            sizes = [self._moved(layout.journal(dataset, n), run).values() for n in names]
            open_ = tuple(name for name in names if not self._is_proven(tables, dataset, name))
            yield Dataset(
                dataset,
                sum(map(len, sizes)),
                sum(map(sum, sizes)),
                tuple(names),
                open_,
                _last(self._transfer, layout, dataset).exists(),
            )

    def rests_proven(self, name: str, place: state.Place) -> bool:
        """Whether every batch of a dataset that rests is proven."""
        tables = self._layout.tables(name)
        batches = [t.name.removesuffix(LOCAL_SUFFIX) for t in tables.glob(f"*{LOCAL_SUFFIX}")]
        return len(batches) == place.batches and all(
            self._is_proven(tables, name, batch) for batch in batches
        )

    def _is_proven(self, tables: Path, dataset: str, batch: str) -> bool:
        path = self._layout.marker(dataset, batch)
        if not path.exists():
            return False
        if not self._closely:
            return True
        try:
            return self._holds(path, tables, batch)
        except WaybillError as error:
            self.damaged.append(f"open: {error}")
        except (OSError, ValueError, IndexError) as error:
            self.damaged.append(f"open: {path}: cannot be read: {error}")
        return False

    def _holds(self, path: Path, tables: Path, batch: str) -> bool:
        """Whether a marker holds just the entries that the last inventory saw."""
        proofs = list(marker.read(path))
        if self._transfer.direction == "upload":
            here = read_local(tables / f"{batch}{LOCAL_SUFFIX}")
            seen = [(entry.path, entry.size, entry.mtime_ns) for entry in here]
            return seen == [(proof.path, proof.size, proof.mtime_ns) for proof in proofs]
        there = read_remote(tables / f"{batch}{REMOTE_SUFFIX}")
        listed = [(entry.path, entry.size, entry.etag) for entry in there]
        return listed == [(proof.path, proof.size, proof.etag) for proof in proofs]


def _planned(layout: Layout) -> Planned | None:
    if not layout.plan.exists():
        return None
    counts: Counter[str] = Counter()
    size = 0  # of what is to be looked at
    for row in rows(layout.plan, PLAN_COLUMNS):
        counts[row[2]] += 1
        if row[2] == LOOK:
            size += int(row[4])
    return Planned(counts[MOVE], counts[KEEP], counts[LOOK], size)


def _aside(layout: Layout, seen: state.State) -> list[str]:
    """What is in no batch, by reason."""
    tables = [layout.aside(name) for name in seen.places if seen.held or seen.skipped]
    reasons = [row[3] for table in tables if table.exists() for row in rows(table, ASIDE_COLUMNS)]
    counts = Counter(reason for reason in reasons if reason.startswith(("held back", "skipped")))
    told = [f"{count} {reason}" for reason, count in counts.items()]
    if len(told) > MOST_REASONS:
        more = len(told) - MOST_REASONS
        told[MOST_REASONS:] = [f"and {more} more reasons, in {tables[0]}"]
    if seen.only_at_destination:
        told.append(f"{seen.only_at_destination} only at the destination; nothing is deleted")
    return told


def _found(layout: Layout) -> list[str]:
    """The runs that are not ready, each with the reason."""
    table = layout.aside(FOUND)
    reasons = [(row[1], row[3]) for row in rows(table, ASIDE_COLUMNS)] if table.exists() else []
    held = [f"{reason}: {path}" for path, reason in reasons if reason.startswith("held back")]
    more = len(held) - MOST_REASONS
    return held[:MOST_REASONS] + ([f"and {more} more held back, in {table}"] if more > 0 else [])
