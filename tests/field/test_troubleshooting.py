"""Every entry of docs/troubleshooting.md is met: its words come when what it is about happens, and
every message in the code stands in an entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.provocations import PROVOKED, Capsys, World
from support.proxy import (
    Proxy,
)
from support.server import S3Server
from waybill.messages import page
from waybill.messages.find import Message, messages


@pytest.fixture
def world(
    tmp_path: Path, s3: S3Server, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    yield World(tmp_path, s3, proxy, bucket, monkeypatch)
    proxy.errors.clear()


# The catalogue

FOUND = messages()


def shows(entry: str, text: str) -> list[Message]:
    """The messages of an entry that stand in a text."""
    return [m for m in page.sort_out(FOUND)[entry] if m.pattern.search(text)]


@pytest.mark.parametrize("name", page.ENTRIES)
def test_C7_the_words_of_each_entry_come(world: World, capsys: Capsys, name: str) -> None:
    assert name in PROVOKED, "no test provokes this entry"
    text = PROVOKED[name](world, capsys)
    assert shows(name, text), text
    assert "Traceback" not in text
    code = getattr(text, "code", None)
    assert code is None or str(code) in page.ENTRIES[name].code


def test_C7_what_is_provoked_is_in_the_catalogue() -> None:
    assert set(PROVOKED) == set(page.ENTRIES)


def test_C7_every_message_of_the_code_stands_in_the_catalogue() -> None:
    untold = page.sort_out(FOUND)[""]
    assert [f"{m.module}:{m.line}: {m.text}" for m in untold] == []


def test_C7_every_words_of_the_catalogue_are_those_of_a_message() -> None:
    told = page.sort_out(FOUND)
    stale = [
        (entry.name, words)
        for entry in page.ENTRIES.values()
        for words in entry.words
        if not any(words in message.text for message in told[entry.name])
    ]
    assert stale == []


def test_C7_a_message_that_stands_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "TEXT = 'it is a new thing'\n"
        "def f(name):\n"
        "    text = f'{name} is neither here nor there'\n"
        "    raise WaybillError(f'{name}: {text}; {TEXT}', exit_code=2)\n"
    )
    new = page.sort_out(messages(tmp_path))[""]
    assert {m.shown for m in new} == {"NAME is neither here nor there", "it is a new thing"}


def test_C7_the_page_is_up_to_date() -> None:
    assert page.main(["--check"]) == 0, "run: make docs"


def test_C7_check_and_write(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "troubleshooting.md"
    assert page.main(["--file", str(file)]) == 1
    assert "--write" in capsys.readouterr().err
    assert page.main(["--write", "--file", str(file)]) == 0
    assert page.main(["--check", "--file", str(file)]) == 0
