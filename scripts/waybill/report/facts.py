"""The facts that the page of a transfer shows, as plain values for its template."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from waybill import __version__
from waybill.config.check import properties
from waybill.model.errors import DamagedError
from waybill.model.transfer import Transfer
from waybill.presets import registry
from waybill.report import states
from waybill.report.entries import Entries
from waybill.results import closing_lines, history, journal, outcome, published, state
from waybill.results.history import Ended
from waybill.results.outcome import Asked, Outcome, Standing
from waybill.verify import open_findings
from waybill.verify.layout import VerifyLayout

if TYPE_CHECKING:
    from waybill.results.layout import Layout

MOST_FAILURES = 200  # with a row of their own
MOST_REASONS = 20
MOST_RUNS = 50  # of the history

_PACKAGES = ("snakemake", "boto3", "awscrt", "pandas", "altair", "vl-convert-python")
# Settings that say where the transfer is and are told elsewhere, or that are no settings.
_TOLD = {"name", "direction", "source", "destination", "folder", "bucket", "prefix", "notify"}


class Verdict(NamedTuple):
    """How a transfer stands: a sign, a few words, a kind for the style sheet, a sentence."""

    sign: str
    word: str
    kind: str
    sentence: str


class Row(NamedTuple):
    """One dataset: its state, files and bytes in all, proven and moved by the last run, its
    batches, and its manifests: a link to the one in the results, the address of the published one,
    and when it was published."""

    name: str
    verdict: Verdict
    files: int
    bytes: int
    proven: int
    moved_files: int
    moved_bytes: int
    batches: int
    open_batches: int
    failures: int
    manifest: str
    address: str
    sha256: str
    published: str
    looked: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the results tell of a transfer: how it stands, what was said last, its history (oldest
    first), its datasets and its failures."""

    verdict: Verdict
    said: list[str]
    seen: state.State
    found: Outcome
    runs: list[Ended]
    doubted: list[str]

    @property
    def last(self) -> Ended | None:
        return self.runs[-1] if self.runs else None

    @property
    def last_moving(self) -> Ended | None:
        """The last run that moved something, else the last run."""
        moving = [r for r in self.runs if r.kind == history.RUN]
        return next((r for r in reversed(moving) if r.moved_files), moving[-1] if moving else None)

    @property
    def verifications(self) -> list[Ended]:
        return [run for run in self.runs if run.kind == history.VERIFY]


def read(
    transfer: Transfer,
    layout: Layout,
    moved: Callable[[Path, str], Mapping[str, int]] = journal.moved,
) -> Facts:
    """The facts about a transfer. ``moved`` is the reader of a journal.
    Raises WaybillError, OSError when the results cannot be read."""
    found = outcome.read(transfer, layout, moved=moved)
    doubted = [
        f"{one.finding.path or one.dataset}: {one.finding.reason}"
        for one in open_findings.doubted(VerifyLayout(layout.root))
    ]
    said = closing_lines.lines(found, transfer, layout, Asked.STATUS)
    return Facts(
        _verdict(found, transfer, said, doubted),
        said,
        state.read(layout),
        found,
        history.read(layout),
        doubted,
    )


def _verdict(found: Outcome, transfer: Transfer, said: list[str], doubted: list[str]) -> Verdict:
    """How a transfer stands, in words."""
    told = next((line for line in said if not line.startswith(("FAILED", "open:"))), "")
    if found.failures:
        count = len(found.failures)
        text = f"{count:,} failures stand. Mend what they name and run again."
        if count == 1:
            text = "1 failure stands. Mend what it names and run again."
        return Verdict("✗", "failed", "bad", text)
    if doubted:
        what = (
            "1 file is not as it was"
            if len(doubted) == 1
            else f"{len(doubted):,} files are not as they were"
        )
        text = f"{what} proven, says a verification. Run again and verify again."
        return Verdict("✗", "not as proven", "bad", text)
    if found.standing is Standing.NEVER:
        return Verdict("○", "no run yet", "open", "Nothing is known of this transfer yet.")
    if found.standing is Standing.EMPTY:
        text = f"Nothing to {transfer.direction} in {transfer.source}."
        return Verdict("-", "empty", "calm", text)
    if found.standing is Standing.OPEN:
        word = "planned" if found.planned is not None else "not finished"
        what = _open_sentence(said) or told
        return Verdict("○", word, "open", what)
    if found.held:
        text = f"{found.held:,} wait for a later run; all the others are proven."
        return Verdict("◷", "proven, some wait", "wait", text)
    return Verdict("✓", "proven", "good", told)


def _open_sentence(said: list[str]) -> str:
    """The first line that says what is open, as a sentence; ``""`` when there is none."""
    line = next((line for line in said if line.startswith("open: ")), "")
    text = line.removeprefix("open: ")
    return text[:1].upper() + text[1:] + ("." if text else "")


def datasets(layout: Layout, transfer: Transfer, facts: Facts, entries: Entries) -> list[Row]:
    """The datasets, those with failures first."""
    by_name = {dataset.name: dataset for dataset in facts.found.datasets}
    failures = Counter(failure.dataset for failure in facts.found.failures)
    rows = []
    for name, place in facts.seen.places.items():
        known = by_name.get(name)
        files = place.files
        proven = entries.of(states.PROVEN.word, dataset=name)[0]
        manifest = layout.manifest(name)
        key, sha256, when = _publication(layout, transfer, name)
        rows.append(
            Row(
                name,
                _dataset_verdict(place, known, failures[name], proven),
                files,
                place.bytes,
                proven,
                known.moved_files if known else 0,
                known.moved_bytes if known else 0,
                len(known.batches) if known else place.batches,
                len(known.open) if known else 0,
                failures[name],
                f"../manifests/{quote(name)}.json" if manifest.exists() else "",
                f"s3://{transfer.bucket}/{key}" if key else "",
                sha256,
                when,
                _utc(place.looked),
            )
        )
    order = {"bad": 0, "open": 1, "wait": 2, "calm": 3, "good": 4}
    return sorted(rows, key=lambda row: (order[row.verdict.kind], row.name))


def _dataset_verdict(
    place: state.Place, known: outcome.Dataset | None, failures: int, proven: int
) -> Verdict:
    if failures:
        return Verdict("✗", "failed", "bad", "")
    if place.resting:
        done = proven == place.files
        word = "at rest, proven" if done else "at rest, not proven"
        return Verdict("✓" if done else "○", word, "good" if done else "open", "")
    if known is None:
        return Verdict("-", "empty", "calm", "")
    if known.open:
        return Verdict("○", "not finished", "open", "")
    if not known.listed:
        return Verdict("○", "no manifest yet", "open", "")
    if place.held:
        return Verdict("◷", "proven, some wait", "wait", "")
    return Verdict("✓", "proven", "good", "")


def _publication(layout: Layout, transfer: Transfer, dataset: str) -> tuple[str, str, str]:
    """The key of the manifest that was published last, its SHA-256 and when it was put there."""
    if not transfer.publishes:
        return "", "", ""
    for record in (layout.publication(dataset), layout.kept_publication(dataset)):
        try:
            told = published.read_record(record)
        except (FileNotFoundError, DamagedError):
            continue
        return told["key"], told["sha256"], told["time"][:19].replace("T", " ") + " UTC"
    return "", "", ""


def reasons(found: Outcome) -> list[tuple[str, int]]:
    """Why entries failed, the most frequent reason first."""
    return Counter(failure.message for failure in found.failures).most_common(MOST_REASONS)


def settings(transfer: Transfer) -> list[tuple[str, str]]:
    """The settings that are not the default, without secrets."""
    secret = {key for key, rules in properties().items() if rules.get("x-secret")}
    found = []
    for item in fields(Transfer):
        value = getattr(transfer, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if value == default or item.name in _TOLD | secret or value is None:
            continue
        if item.name == "preset_settings":
            found += _preset_settings(transfer)
        else:
            found.append((item.name, _plain(value)))
    return found


def _preset_settings(transfer: Transfer) -> Iterator[tuple[str, str]]:
    known = registry.get(transfer.preset).settings
    for key, value in transfer.preset_settings.items():
        if not known.get(key, {}).get("x-secret"):
            yield f"{transfer.preset}.{key}", _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    return str(value)


@functools.cache
def versions() -> list[tuple[str, str]]:
    """The versions of Waybill, Python and the packages that matter."""
    found = [("waybill", __version__), ("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return [*found, ("system", platform.platform(terse=True))]


def _utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else ""
