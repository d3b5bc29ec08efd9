"""Makes docs/troubleshooting.md out of the catalogue and the messages in the code.

``python -m waybill.messages.page --write`` writes the page, ``--check`` (the default) only says
whether it is up to date: exit code 0 when it is, 1 when not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from waybill.messages import of_files, of_runs, of_s3, of_settings
from waybill.messages.entry import Entry
from waybill.messages.find import Message, messages
from waybill.system import generated

SECTIONS: dict[str, tuple[Entry, ...]] = {
    "Credentials": of_s3.CREDENTIALS,
    "Bucket, region, endpoint": of_s3.PLACES,
    "Network and store": of_s3.NETWORK,
    "Folders and disks": of_files.FOLDERS,
    "Files that are read": of_files.SOURCE,
    "Names and files of a destination": of_files.DESTINATION,
    "Configuration": of_settings.SETTINGS,
    "Sequencing runs": of_settings.SEQUENCING,
    "Runs": of_runs.RUNS,
    "Results": of_runs.RESULTS,
    "Commands": of_runs.COMMANDS,
    "Verification": of_runs.VERIFICATION,
    "Notifications": of_runs.NOTIFICATIONS,
}
ENTRIES = {entry.name: entry for entries in SECTIONS.values() for entry in entries}

# Texts that are only put around a message, or that nobody gets to see.
_NONE = {
    "waybill: {name}: FAILED {text}",
    "{file}: transfers.{name}.destination: {text}",
    "the job has ended",
    "bytes after the answer",
    "{folder} belongs to others",
}

_INTRO = """\
<!-- Made from the code: python -m waybill.messages.page --write -->
# Troubleshooting

What Waybill says when something is not as it should be. Search this page for the words on the
screen: `CAPITALS` and `…` stand for what is filled in, a name or an address. In front of a message
stand the transfer and the file, object or folder that it is about; behind a `;` stands what to do.

Exit codes: 0 proven, 1 something failed or is open, 2 usage or configuration, 3 nothing matched,
130 interrupted. A dash means that the line does not change the exit code. Secrets in use are shown
as `***`, also where a server repeats them.

`waybill doctor` looks for most of this before a run ([doctor.md](doctor.md)).
"""


def entry_of(message: Message) -> Entry | None:
    """The entry that a message stands in: of those with words of it, the one with the longest."""
    best = max(
        ((len(words), entry) for entry in ENTRIES.values() for words in entry.words
         if words in message.text),
        key=lambda pair: pair[0], default=None,
    )  # fmt: skip
    return best[1] if best else None


def sort_out(found: Sequence[Message]) -> dict[str, list[Message]]:
    """The messages by the name of their entry; ``""`` holds whole ones that stand in none."""
    told: dict[str, list[Message]] = {name: [] for name in ("", *ENTRIES)}
    for message in found:
        entry = entry_of(message)
        if entry is not None:
            told[entry.name].append(message)
        elif not message.is_part and message.text not in _NONE:
            told[""].append(message)
    return told


def page() -> str:
    """The text of docs/troubleshooting.md."""
    told = sort_out(messages())
    parts = [_INTRO]
    for title, entries in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += (part for entry in entries for part in _entry(entry, told))
    return "\n".join(parts)


def _entry(entry: Entry, told: Mapping[str, Sequence[Message]]) -> Iterator[str]:
    texts = dict.fromkeys(_line(message.shown) for message in told[entry.name])
    yield f"### {entry.name.replace('-', ' ').capitalize()}\n"
    yield "\n".join(f"- `` {text} ``" if "`" in text else f"- `{text}`" for text in texts) + "\n"
    yield f"What happened: {entry.happened}\n"
    yield f"What to do: {entry.do}\n"
    yield f"Exit code: {entry.code}\n"


def _line(text: str) -> str:
    text = re.sub(r"(?<=\S)…|…(?=\w)", "…", text.replace("\n", " "))
    return text.strip().strip(";:").strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the page; returns the exit code."""
    return generated.main(
        "waybill.messages.page", lambda _: page(), "troubleshooting.md", arguments
    )


if __name__ == "__main__":
    sys.exit(main())
