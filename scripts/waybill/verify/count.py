"""Counts the entries of a verification, and keeps the findings of the walk and the listing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from waybill.verify.judge import Finding, Look, in_sample
from waybill.verify.layout import Verified


@dataclass(slots=True)
class Count:
    """The counts of a verification (``now``). ``decided`` are the findings that need no closer
    look, each with its dataset. ``seen`` are the paths that were added, by dataset."""

    sample: tuple[int, int]
    today: date
    now: Verified = field(default_factory=Verified)
    decided: list[tuple[str, Finding]] = field(default_factory=list)
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.now.day = self.today.isoformat()

    def has(self, dataset: str, path: str) -> bool:
        """Whether the entry was added."""
        return path in self.seen[dataset]

    def add(
        self, dataset: str, path: str, size: int, found: list[Finding], look: Look | None
    ) -> Look | None:
        """Add an entry with what the walk and the listing ``found``. Returns ``look`` if the entry
        is in the sample, else None. Failures are kept outside of the sample, too."""
        self.seen[dataset].add(path)
        self.now.files += 1
        self.now.bytes += size
        if not in_sample(path, self.sample, self.today):
            self.decide(dataset, (finding for finding in found if finding.fails))
            return None
        self.now.looked += 1
        self.now.looked_bytes += size
        self.decide(dataset, found)
        return look

    def decide(self, dataset: str, found: Iterable[Finding]) -> None:
        """Keep findings that need no closer look."""
        self.decided += ((dataset, finding) for finding in found)
