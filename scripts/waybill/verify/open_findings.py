"""Open findings: the failures that verifications found and that nothing has mended since.

``verify/open.tsv`` has the columns of a report, then ``depth`` (of the verification), ``against``
(1 when the folder was compared with a list, else 0) and ``proven``. The last one identifies the
proof that did not hold: 16 hex digits of the SHA-256 of a marker with this proof alone, or empty
where no marker had a proof.

A finding is closed when the proof has changed, because then the file was moved again. It is also
closed when a verification at the same or a closer depth sees that the file agrees. A verification
of a sample closes no finding about other files. A verification with depth listing closes no finding
about bytes. Times are not compared, because the clocks of two machines differ. The table is sealed,
so that its loss is noticed. A lost table is one open finding, until a verification reads all bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from waybill.model.difference import FAILED
from waybill.model.errors import DamagedError
from waybill.results import marker, seals
from waybill.system import tsv
from waybill.verify.judge import BOTH, CONTENT, LISTING, METADATA, Finding
from waybill.verify.layout import (
    REPORT_COLUMNS,
    Verified,
    VerifyLayout,
    finding_cells,
    finding_of,
    read_findings,
)

COLUMNS = (*REPORT_COLUMNS, "depth", "against", "proven")
DEPTHS = (LISTING, METADATA, CONTENT)

_LOST = "what earlier verifications found is lost; verify with depth content and no sample"


class Open(NamedTuple):
    """One open finding; see the module for ``depth``, ``against`` and ``proven``."""

    dataset: str
    finding: Finding
    depth: str
    against: bool
    proven: str


def update(
    layout: VerifyLayout, now: Verified, depth: str, found: Iterable[tuple[str, Finding]]
) -> None:
    """Update the table after a verification at ``depth``: its failures are open, and findings about
    files that agree are closed."""
    agreed: set[tuple[str, str]] = set()
    failing: list[tuple[str, Finding]] = []
    for dataset, finding in found:
        if finding.fails:
            failing.append((dataset, finding))
        else:
            agreed.add((dataset, finding.path))
    agreed.difference_update((dataset, finding.path) for dataset, finding in failing)
    saw_all = depth == CONTENT and now.looked == now.files and not now.against
    before = [one for one in read(layout) if not (saw_all and _is_loss(one))]
    kept = {
        _key(one): one for one in before if not _is_closed(one, agreed, depth, against=now.against)
    }
    proofs = _proofs(layout, {dataset for dataset, _ in failing})
    for dataset, finding in failing:
        proven = proofs.get((dataset, finding.path), "")
        one = Open(dataset, finding, depth, now.against, proven)
        deepest = max(depth, kept.get(_key(one), one).depth, key=DEPTHS.index)
        kept[_key(one)] = one._replace(depth=deepest)
    if kept or before or layout.open_findings.exists():
        seals.write(layout, layout.open_findings, _render(kept[key] for key in sorted(kept)))


def _key(one: Open) -> tuple[str, str, str, bool]:
    return one.dataset, one.finding.path, one.finding.side, one.against


def _is_closed(one: Open, agreed: set[tuple[str, str]], depth: str, *, against: bool) -> bool:
    seen = (one.dataset, one.finding.path) in agreed
    return seen and DEPTHS.index(depth) >= DEPTHS.index(one.depth) and one.against >= against


def read(layout: VerifyLayout) -> list[Open]:
    """All findings that were open after the last verification. Results of a version without this
    table have the failures of their last report. A lost or damaged table is a finding itself."""
    path = layout.open_findings
    sealed = layout.name_of(path) in seals.read(layout.seals_of(path))
    try:
        seals.check(layout, [path])
        return list(tsv.read(path, COLUMNS, _open))
    except FileNotFoundError:
        if sealed:
            return [_loss()]
    except DamagedError:
        return [_loss()]
    if not layout.copy.exists():
        return []
    report = read_findings(layout.copy)
    return [Open(*item, CONTENT, False, "") for item in report if item[1].fails]


def doubted(layout: VerifyLayout) -> Iterator[Open]:
    """The findings that are still open: the proof of the file has not changed since."""
    found = read(layout)
    proofs = _proofs(layout, {one.dataset for one in found})
    for one in found:
        proven = proofs.get((one.dataset, one.finding.path))
        if _is_loss(one) or (proven is not None and one.proven in ("", proven)):
            yield one


def _proofs(layout: VerifyLayout, datasets: set[str]) -> dict[tuple[str, str], str]:
    """The value ``proven`` of each proof in the markers of these datasets, by dataset and path."""
    return {
        (dataset, proof.path): hashlib.sha256(marker.render([proof])).hexdigest()[:16]
        for dataset in datasets
        if dataset
        for path in layout.marker(dataset, "-").parent.glob("[!.]*.tsv")
        for proof in marker.read(path)
    }


def _loss() -> Open:
    return Open("", Finding(FAILED, BOTH, "", None, _LOST), CONTENT, False, "")


def _is_loss(one: Open) -> bool:
    return not one.finding.path


def _render(found: Iterable[Open]) -> bytes:
    return tsv.render(
        COLUMNS,
        (
            "\t".join(
                (*finding_cells(o.dataset, o.finding), o.depth, str(int(o.against)), o.proven)
            )
            for o in found
        ),
    )


def _open(row: list[str]) -> Open:
    return Open(*finding_of(row[:6]), row[6], row[7] == "1", row[8])
