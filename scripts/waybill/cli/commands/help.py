"""``waybill help``: what an exit code or a message means, out of the catalogue of messages."""

from __future__ import annotations

import argparse
import re
from functools import cache

from waybill.cli.terminal import Screen, printable
from waybill.messages import page
from waybill.messages.entry import Entry
from waybill.messages.find import Message, messages
from waybill.model.errors import EXIT_EMPTY, EXIT_OK, MEANINGS

MOST_ENTRIES = 3
# A message with fewer letters of its own than this fits nearly every text.
FEWEST_LETTERS = 8
LEAST_SHARE = 0.5  # of the words that a text and a message have, those that both have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "words", nargs="*", metavar="WORDS",
        help="an exit code, a command, or some words of a message",
    )  # fmt: skip


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show what is known of these words; returns 3 when nothing is."""
    from waybill.cli.main import COMMANDS, make_parser

    text = " ".join(given.words).strip()
    if not text or text in COMMANDS:
        make_parser(text).parse_args([text, "--help"] if text else ["--help"])
    if text.isdecimal() and int(text) in MEANINGS:
        code = int(text)
        screen.line(f"{code}: {MEANINGS[code]}")
        found = [e for e in page.ENTRIES.values() if str(code) in re.findall(r"\d+", e.code)]
        names = ", ".join(_title(entry) for entry in found)
        screen.line(f"Messages with this code: {names}" if names else "It comes with no message.")
        return EXIT_OK
    found = search(text)
    for entry in found:
        screen.line(f"{_title(entry)}")
        screen.line(f"  What happened: {entry.happened}")
        screen.line(f"  What to do:    {entry.do}")
        screen.line(f"  Exit code:     {entry.code}")
    if not found:
        screen.problem(
            f"{printable(text)}: no message has these words; docs/troubleshooting.md has them all"
        )
    return EXIT_OK if found else EXIT_EMPTY


def search(text: str) -> list[Entry]:
    """The entries that a text of the screen may belong to, the likeliest first: those with a whole
    message that stands in the text, else those with a message that the text is a part of, else
    those with all its words."""
    words = set(re.findall(r"[a-z]{3,}", text.lower()))
    for fits in (_whole, _part, _words, _most):
        ranks: dict[str, float] = {}
        for message, entry in _known():
            if rank := fits(text, words, message):
                ranks[entry.name] = max(rank, ranks.get(entry.name, 0))
        if ranks:
            best = sorted(ranks, key=lambda name: -ranks[name])[:MOST_ENTRIES]
            return [page.ENTRIES[name] for name in best]
    return []


@cache
def _known() -> list[tuple[Message, Entry]]:
    return [(message, entry) for message in messages() if (entry := page.entry_of(message))]


def _whole(text: str, _words: set[str], message: Message) -> float:
    """The letters of a message that stands in the text."""
    letters = len(re.sub(r"\{[^{}]*\}|\W", "", message.text))
    return letters if letters >= FEWEST_LETTERS and message.pattern.search(text) else 0


def _part(text: str, words: set[str], message: Message) -> float:
    """More for a message of which the text is a larger part."""
    return len(text) / len(message.text) if words and text.lower() in message.text.lower() else 0


def _words(_text: str, words: set[str], message: Message) -> float:
    told = set(re.findall(r"[a-z]{3,}", message.text.lower()))
    return 1 / len(told) if words and words <= told else 0


def _most(_text: str, words: set[str], message: Message) -> float:
    told = set(re.findall(r"[a-z]{3,}", message.text.lower()))
    share = len(words & told) / (len(words | told) or 1)
    return share if share >= LEAST_SHARE else 0


def _title(entry: Entry) -> str:
    return entry.name.replace("-", " ")
