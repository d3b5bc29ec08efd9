"""The states of an entry on the page, worst first, each with its sign and its word."""

from __future__ import annotations

from typing import NamedTuple


class State(NamedTuple):
    """One state: its sign is readable without a colour, ``kind`` is its class in the style sheet
    and ``meaning`` one sentence for people."""

    sign: str
    word: str
    kind: str
    meaning: str


FAILED = State("✗", "failed", "bad", "The last run could not move it; the reason is beside it.")
REFUSED = State("✗", "refused", "bad", "Waybill does not move it; the reason is beside it.")
OPEN = State("○", "to be moved", "open", "It is not proven at the destination yet.")
UNDECIDED = State("?", "not compared", "open", "Whether it must be moved is not known yet.")
HELD = State("◷", "held back", "wait", "It waits; a later run moves it.")
SKIPPED = State("-", "skipped", "calm", "The configuration leaves it out.")
ONLY_THERE = State("·", "only at the destination", "calm", "The source has no such entry.")
PROVEN = State("✓", "proven", "good", "Its proof is in a marker.")

STATES = (FAILED, REFUSED, OPEN, UNDECIDED, HELD, SKIPPED, ONLY_THERE, PROVEN)
