"""How a verification ended: the lines a user reads last, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from waybill.model.difference import CHANGED, FAILED, NEW, UNCHANGED
from waybill.model.errors import EXIT_EMPTY, EXIT_FAILED, EXIT_OK, one_line, worst
from waybill.model.escaping import escape
from waybill.model.units import format_size
from waybill.results import failures
from waybill.verify.judge import BOTH, SOURCE, Finding
from waybill.verify.layout import Verified, VerifyLayout, read_findings, read_state

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

MOST_LINES = 20  # of failures, and of notes; all are in the report


class Tally:
    """Counts the findings of a report. Keeps the first ``most`` failures and the first ``most``
    notes, to be printed one by one."""

    def __init__(
        self, findings: Iterable[Finding], most: int = MOST_LINES, *, against: bool = False
    ) -> None:
        self.agree = self.unproven = 0
        self._fails: Counter[str] = Counter()
        self._noted: Counter[str] = Counter()
        self.failing: list[Finding] = []
        self.notes: list[Finding] = []
        for finding in findings:
            if finding.status == UNCHANGED:
                self.agree += 1
                self.unproven += bool(finding.reason)
                continue
            count = self._fails if finding.fails else self._noted
            count[_what_of_list(finding) if against else _what(finding)] += 1
            named = self.failing if finding.fails else self.notes
            if len(named) < most:
                named.append(finding)

    @property
    def told(self) -> int:
        """How many findings do not agree, with the notes."""
        return self._fails.total() + self._noted.total()

    @property
    def code(self) -> int:
        """The exit code."""
        return EXIT_FAILED if self.failing else EXIT_OK

    def summary(self, now: Verified, depth: str, sample: tuple[int, int]) -> str:
        """The counts in one line."""
        share = ""
        if now.looked != now.files:
            share = f", {now.looked} of them looked at (sample {sample[0]}/{sample[1]}, {now.day})"
        what = "listed" if now.against else "proven"
        files = f"{now.files} files {what}, {format_size(now.bytes)}"
        named = (*self._fails.items(), *self._noted.items())
        counts = [f"{self.agree} agree", *(f"{n} {what}" for what, n in named)]
        if not named:
            counts = ["all agree"]
        text = f"{files}{share}; depth {depth}: {', '.join(counts)}"
        if self.unproven:
            text += f"; {self.unproven} without a SHA-256 to compare"
        if now.held:
            text += f"; {now.held} held back"
        return text


def _what(finding: Finding) -> str:
    """The words under which a finding is counted."""
    if finding.status == CHANGED:
        return "differ" if finding.side == BOTH else f"changed at the {finding.side}"
    if finding.status == FAILED:
        return "gone from both" if finding.side == BOTH else "not to be looked at"
    if finding.status == NEW:
        return "never moved" if finding.side == SOURCE else "gone from the destination"
    return "gone from the source" if finding.side == SOURCE else "only at the destination"


def _what_of_list(finding: Finding) -> str:
    """The words under which a finding about a list and a folder is counted."""
    return {
        CHANGED: "differ",
        FAILED: "not to be looked at",
        NEW: "missing",
    }.get(finding.status, "not listed")


def conclude(transfer: Transfer, layout: VerifyLayout) -> tuple[list[str], int]:
    """The last lines about one transfer, and its exit code."""
    failed = list(dict.fromkeys(failures.read(layout)))
    if failed:
        lines = [f"FAILED {failure}" for failure in failed[:MOST_LINES]]
        return lines, worst(failure.exit_code for failure in failed)
    if not layout.report.exists():
        return ["FAILED the verification left no report; see what it said above"], EXIT_FAILED
    now = read_state(layout)
    if not now.files:
        return [nothing(transfer, now)], EXIT_EMPTY
    found = (finding for _, finding in read_findings(layout.report))
    tally = Tally(found, against=now.against)
    lines = [line(finding) for finding in (*tally.failing, *tally.notes)]
    if len(lines) < tally.told:
        lines.append(f"and {tally.told - len(lines)} more, in {layout.copy}")
    if now.origin and not now.against:
        lines.append(f"not all of it has a marker here; held against {now.origin}")
    summary = tally.summary(now, transfer.verify_depth, transfer.verify_sample)
    return [*lines, f"{summary}; see {layout.copy}"], tally.code


def nothing(transfer: Transfer, now: Verified) -> str:
    """The line that says that nothing is proven or listed, and where it was looked for."""
    if now.against:
        return f"nothing to check: {now.origin} lists nothing"
    published = ""
    if transfer.publish_prefix is not None:
        published = f" or in s3://{transfer.bucket}/{transfer.publish_prefix}"
    where = f"{transfer.results}{published}"
    return f"nothing to check: no marker and no manifest of {transfer.destination} in {where}"


def line(finding: Finding) -> str:
    """One finding as a line."""
    path = escape(finding.path)
    return one_line(f"{finding.status} {finding.side}: {path}: {finding.reason}")
