"""What a storm tells: each finding, and the page of figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from storm.rounds import Tally


@dataclass(frozen=True)
class Found:
    """A finding, where it was made and how to make it again."""

    kind: str
    text: str
    world: int
    round: int
    began: int  # the round in which its world began
    story: tuple[str, ...]
    folder: str

    def told(self, seed: str) -> str:
        last = max((i for i, line in enumerate(self.story) if line.startswith("-- ")), default=0)
        return "\n".join(
            [
                f"FINDING {self.kind}: world {self.world}, round {self.round} (from {self.began}),"
                f" SEED={seed} WORLD={self.world}, kept in {self.folder}",
                *(f"    {line}" for line in self.story[last:]),
                *(f"  | {line}" for line in self.text.splitlines()[-25:]),
            ]
        )


def page(
    seed: str, server: str, workers: int, seconds: float, tally: Tally, found: list[Found]
) -> str:
    """The report in Markdown."""
    lines = [
        "# Storm",
        "",
        "<!-- Made by `make storm`. -->",
        f"Seed {seed} on {server}, {workers} worlds at one time: {tally.rounds} rounds with"
        f" {tally.runs} runs in {seconds:.0f} s; **{len(found)} findings**. The slowest of the runs"
        f" that were sent a signal ended {tally.slowest_end:.1f} s later.",
        "",
        "What a round does and what is asked: [tests/storm/README.md](../tests/storm/README.md).",
        "",
    ]
    for title, counts in (
        ("Findings", Counter(f.kind for f in found)),
        ("Kills", tally.kills),
        ("Faults on the wire", tally.faults),
        ("Deeds of others, and damage to results", tally.deeds),
        ("Exit codes of runs", tally.codes),
    ):
        lines += [f"| {title} | |", "|---|---:|"]
        lines += [f"| {name} | {count} |" for name, count in sorted(counts.items())]
        lines += [f"| **all** | **{sum(counts.values())}** |", ""]
    return "\n".join(lines)
