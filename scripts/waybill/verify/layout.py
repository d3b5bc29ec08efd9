"""The files that a verification writes, all under ``results/{transfer}/verify/``.

``{run}/report.tsv``                          all findings
``{run}/verdict``                             one line, written only when all entries agree
``{run}/batches/decided.tsv``                 the findings of the walk and the listing
``{run}/batches/{dataset}/{batch}.tsv``       the entries of a batch that need a closer look
``{run}/checked/{dataset}/{batch}.tsv``       the findings of that look
``{run}/state.json``                          what was compared, and how much (``Verified``)
``failures/``, ``{run}/logs/``                failures and logs of the verification alone
``report.tsv``                                a copy of the last report, under a fixed name
``open.tsv``                                  the open findings (``verify.open_findings``)

``{run}`` is new in every run, so that no file of an earlier run is taken for one of this run. A
report has ``dataset``, ``status``, ``side``, ``path``, ``size`` in bytes, ``reason``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from waybill.model.errors import DamagedError
from waybill.model.escaping import escape, unescape
from waybill.results.layout import Layout
from waybill.system import tsv
from waybill.system.files import write_atomic
from waybill.system.tsv import render
from waybill.verify.judge import Finding, Look

REPORT_COLUMNS = ("dataset", "status", "side", "path", "size", "reason")
LOOK_COLUMNS = (
    "path", "key", "size", "sha256", "proven_etag", "etag", "mtime_ns", "inode", "complete",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VerifyLayout(Layout):
    """The layout of a transfer for the verification ``run``, which has its own failure records."""

    run: str = ""

    @property
    def folder(self) -> Path:
        return self.root / "verify"

    @property
    def failures(self) -> Path:
        return self.folder / "failures"

    @property
    def verified(self) -> Path:
        return self.folder / self.run / "state.json"

    @property
    def looks(self) -> Path:
        return self.folder / self.run / "batches"

    @property
    def decided(self) -> Path:
        return self.looks / "decided.tsv"

    def look(self, dataset: str, batch: str) -> Path:
        return self.looks / dataset / f"{batch}.tsv"

    def checked(self, dataset: str, batch: str) -> Path:
        return self.folder / self.run / "checked" / dataset / f"{batch}.tsv"

    @property
    def report(self) -> Path:
        return self.folder / self.run / "report.tsv"

    @property
    def verdict(self) -> Path:
        return self.folder / self.run / "verdict"

    @property
    def copy(self) -> Path:
        return self.folder / "report.tsv"

    def to_look(self) -> list[tuple[str, str]]:
        """Every (dataset, batch) that is to be looked at more closely, sorted."""
        return sorted((path.parent.name, path.stem) for path in self.looks.glob("*/*.tsv"))


@dataclass(slots=True)
class Verified:
    """The state of a verification: what was compared, and how much of it.

    ``origin`` names the manifest that was used where markers are missing, or ``""``. With
    ``against`` it names the list that the folder was compared with. ``files`` and ``bytes`` count
    what is proven or listed, ``looked`` and ``looked_bytes`` the sample of ``day`` (UTC). ``held``
    counts entries and datasets that are held back. ``batches`` counts the batches that need a
    closer look; ``accelerate`` means by Transfer Acceleration. ``places`` maps a dataset to its
    folder and its key prefix.
    """

    origin: str = ""
    against: bool = False
    day: str = ""
    files: int = 0
    bytes: int = 0
    looked: int = 0
    looked_bytes: int = 0
    held: int = 0
    batches: int = 0
    accelerate: bool = False
    places: dict[str, list[str]] = field(default_factory=dict)


def read_state(layout: VerifyLayout) -> Verified:
    """The state of a verification. Raises FileNotFoundError before it is written, and DamagedError
    when it is damaged."""
    try:
        return Verified(**json.loads(layout.verified.read_bytes()))
    except (ValueError, TypeError):
        raise DamagedError(layout.verified, "no state of this version") from None


def verified_if_any(layout: VerifyLayout) -> Verified:
    """The state of a verification; an empty one when it is missing or damaged."""
    try:
        return read_state(layout)
    except (FileNotFoundError, DamagedError):
        return Verified()


def expected(layout: VerifyLayout) -> tuple[int, int]:
    """Files that the closer look of a verification is about, and their bytes; 0 while that is not
    known, or when there is none."""
    now = verified_if_any(layout)
    return (now.looked, now.looked_bytes) if now.batches else (0, 0)


def last_run(layout: Layout) -> VerifyLayout:
    """The layout of the last verification of a transfer; its ``run`` is ``""`` without one."""
    names = (path.name for path in (layout.root / "verify").glob("run-*"))
    return VerifyLayout(layout.root, max(names, default=""))


def write_state(layout: VerifyLayout, state: Verified) -> None:
    """Write the state in one step."""
    write_atomic(layout.verified, json.dumps(asdict(state), indent=1).encode() + b"\n")


def write_findings(path: Path, findings: Iterable[tuple[str, Finding]]) -> None:
    """Write a table of findings, each with its dataset."""
    lines = ("\t".join(finding_cells(*item)) for item in findings)
    write_atomic(path, render(REPORT_COLUMNS, lines))


def finding_cells(dataset: str, f: Finding) -> tuple[str, ...]:
    """The cells of a finding in a table with ``REPORT_COLUMNS``."""
    size = "" if f.size is None else str(f.size)
    return dataset, f.status, f.side, escape(f.path), size, escape(f.reason)


def read_findings(path: Path) -> Iterator[tuple[str, Finding]]:
    """The findings of a table, each with its dataset."""
    return tsv.read(path, REPORT_COLUMNS, finding_of)


def finding_of(row: list[str]) -> tuple[str, Finding]:
    """The dataset and the finding of a row with ``REPORT_COLUMNS``."""
    dataset, status, side, name, size, reason = row
    number = int(size) if size else None
    return dataset, Finding(status, side, unescape(name), number, unescape(reason))


def write_looks(path: Path, looks: Iterable[Look]) -> None:
    """Write the entries of a batch that are to be looked at."""
    lines = (
        "\t".join(
            (escape(k.path), escape(k.key), str(k.size), k.sha256, escape(k.proven_etag),
             escape(k.etag), "" if k.mtime_ns is None else str(k.mtime_ns), str(k.inode),
             str(int(k.complete)))
        )
        for k in looks
    )  # fmt: skip
    write_atomic(path, render(LOOK_COLUMNS, lines))


def read_looks(path: Path) -> Iterator[Look]:
    """The entries of a batch that are to be looked at."""
    return tsv.read(path, LOOK_COLUMNS, _look)


def _look(r: list[str]) -> Look:
    mtime_ns = int(r[6]) if r[6] else None
    return Look(
        unescape(r[0]), unescape(r[1]), int(r[2]), r[3], unescape(r[4]), unescape(r[5]), mtime_ns,
        int(r[7]), r[8] == "1",
    )  # fmt: skip
