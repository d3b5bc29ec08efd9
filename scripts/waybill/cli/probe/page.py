"""Makes docs/stores.md out of recorded probes and of what documents say.

``python -m waybill.cli.probe.page --write`` writes the page, ``--check`` (the default) only says
whether it is up to date. The probes are docs/stores/*.json, which ``make record-stores`` writes;
the documents are docs/stores/documents.toml.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from waybill.cli.probe.command import lines
from waybill.s3.probe.questions import QUESTIONS, Answer, Row, exit_code
from waybill.system import generated
from waybill.system.resources import project_root

EXAMPLE = "ceph"
NOT_KNOWN = "not known"

_INTRO = """\
<!-- Made from docs/stores/: python -m waybill.cli.probe.page --write -->
# Stores

Many servers speak S3, and no two the same. `waybill probe` asks a store what it does of all that
Waybill uses, and says which settings follow:

```bash
waybill probe s3://my-bucket/tmp --endpoint-url https://s3.example.org --profile lab
waybill probe s3://my-bucket/tmp --yes --json       # for programs
```

It writes some 30 objects, 11 MiB in all, under `tmp/waybill-probe/`, and asks first, unless `--yes`
is given. It deletes nothing. The objects have fixed names, so a second probe replaces them; a
bucket with versions keeps both. Its own uploads in parts are completed or aborted. The permissions
it needs are in [permissions.md](permissions.md#probe). A question that a permission is missing for
is answered with `-`, and the row names the permission.

"""

_AFTER_EXAMPLE = """

The lines at the end are settings of a transfer, ready to paste. Where the answer is no, the line
with the arrow says what Waybill does instead.

| exit code | meaning |
|---:|---|
| 0 | all that Waybill needs works |
| 1 | something that it needs does not, or could not be told; the last line names it |
| 2 | a mistake in the command |
| 130 | interrupted |

## What is asked

Without the rows that are *needed*, Waybill cannot use a store. The rows that are *used* are what it
makes use of, and does without. The others are *told* only.

"""

_TRIED = """
## Stores that were tried

`make test-stores` starts these servers, moves data with both engines, and probes them; it fails
when an answer is another one than here. `make record-stores` writes the answers anew, and `make
docs` this page.

"""

_DOCUMENTS = """
## Stores that were not tried

This is what their documents say, and their users where a thread is named. None of it was tried.
Probe your own store.

"""

_JSON = """
## JSON

`--json` prints one document:

| key | value |
|---|---|
| `waybill` | the version |
| `time` | when it was made, UTC |
| `url` | the bucket and the prefix that was given |
| `exit_code` | as above |
| `settings` | the settings of a transfer, by key |
| `rows` | a list; each row has the six keys below |

| key of a row | value |
|---|---|
| `check` | the name of the row, as above |
| `asks` | what is asked |
| `need` | `needed`, `used` or `told` |
| `answer` | `yes`, `no` or `-` |
| `found` | what was found, in words; may be `""` |
| `advice` | what follows when the answer is no; `""` when nothing does |
"""


class Record(NamedTuple):
    """A recorded probe of a store."""

    store: str
    version: str
    rows: list[Row]


def read_record(path: Path) -> Record:
    """The record in a file that ``render`` has written. Questions that are new have no answer."""
    found = json.loads(path.read_text(encoding="utf-8"))
    untold = {"answer": Answer.UNTOLD, "found": "not recorded"}
    told = [(question, found["rows"].get(question.name, untold)) for question in QUESTIONS]
    rows = [Row(question, Answer(row["answer"]), row["found"]) for question, row in told]
    return Record(found["store"], found["version"], rows)


def render(record: Record) -> str:
    """A record as the text of its file."""
    rows = {
        row.question.name: {"answer": row.answer.value, "found": row.found} for row in record.rows
    }
    document = {"store": record.store, "version": record.version, "rows": rows}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def page(folder: Path) -> str:
    """The text of the page that the files in ``folder`` ask for."""
    records = {path.stem: read_record(path) for path in sorted(folder.glob("*.json"))}
    text = (folder / "documents.toml").read_text(encoding="utf-8")
    documents = tomllib.loads(text)["stores"]
    parts = [_INTRO]
    if example := records.get(EXAMPLE):
        parts.append(_example(example))
    parts += [_AFTER_EXAMPLE, _questions(), _TRIED, _tried(list(records.values()))]
    parts += [_DOCUMENTS, _documented(documents), _JSON]
    return "".join(parts)


def _example(record: Record) -> str:
    given = {"endpoint_url": "https://s3.example.org", "profile": "lab"}
    said = "\n".join(lines(record.rows, given))
    return f"This is what it says of {record.store} {record.version}:\n\n```text\n{said}\n```\n"


def _questions() -> str:
    rows = []
    for question in QUESTIONS:
        without = Row(question, Answer.NO, "").advice
        rows.append([f"`{question.name}`", question.asks, question.need.value, without])
    return _table(["row", "asks whether", "", "without it"], rows)


def _tried(records: Sequence[Record]) -> str:
    heads = [f"{record.store} {record.version}" for record in records]
    rows: list[list[str]] = []
    for number, question in enumerate(QUESTIONS):
        answers = [record.rows[number].answer.value for record in records]
        rows.append([f"`{question.name}`", *answers])
    codes = [str(exit_code(record.rows)) for record in records]
    rows.append(["exit code", *codes])
    text = _table(["row", *heads], rows)
    for record, head in zip(records, heads, strict=True):
        text += f"\n{head}:\n\n" + "".join(f"{line}\n" for line in _noted(record.rows))
    return text


def _noted(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row.found and row.answer is not Answer.YES:
            yield f"- `{row.question.name}`: {_plain(row.found)}"


def _documented(documents: Sequence[Mapping[str, Any]]) -> str:
    heads = [_head(store) for store in documents]
    rows = [
        [f"`{name}`", *(store["answers"].get(name, NOT_KNOWN) for store in documents)]
        for name in (question.name for question in QUESTIONS)
        if any(name in store["answers"] for store in documents)
    ]
    text = _table(["row", *heads], rows)
    text += f"\nWhat is not in the table is {NOT_KNOWN}.\n"
    for store, head in zip(documents, heads, strict=True):
        links = ", ".join(f"<{address}>" for address in store["sources"])
        text += f"\n{head}: {store['notes']}\nSources: {links}\n"
    return text


def _head(store: Mapping[str, Any]) -> str:
    return f"{store['name']}, {store['version']}" if "version" in store else store["name"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_plain, cells))} |\n" for cells in lines)


def _plain(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the page; returns the exit code."""
    folder = project_root() / "docs" / "stores"
    return generated.main("waybill.cli.probe.page", lambda _: page(folder), "stores.md", arguments)


if __name__ == "__main__":
    sys.exit(main())
