"""Every command of the tutorials is run in an empty home, in the order of its page.

``RECORD_DOCS=true`` writes what the commands print into the pages.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from doors import Door

from support.server import S3Server
from support.session import Session, blocks, is_like, steps, with_said

DOCS = Path(__file__).parents[2] / "docs"
PRACTICE = DOCS / "tutorials" / "practice.md"
PAGES = sorted(page for page in (DOCS / "tutorials").glob("*.md") if page != PRACTICE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_prints_what_it_shows(page: Path, door: Door, s3: S3Server) -> None:
    """With the bucket of docs/tutorials/practice.md."""
    s3.make_bucket("practice")
    text = page.read_text(encoding="utf-8")
    with Session.begin(door) as session:
        done = session.work_through(text)
    assert done
    if os.environ.get("RECORD_DOCS") == "true":
        page.write_text(with_said(text, done), encoding="utf-8")
        return
    for step in done:
        shown = "\n".join(step.shown)
        assert is_like(step.said, _trimmed(step.shown)), (
            f"{page.name}:{step.first}: $ {step.command}\nshows:\n{shown}\nprints:\n"
            + "\n".join(step.said)
        )


def test_the_practice_bucket_can_be_written(door: Door) -> None:
    """Its server listens on a free port here, and is there already in place of its installation."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    text = PRACTICE.read_text(encoding="utf-8").replace("5000", port)
    text = re.sub(r"^\$ pip install .*\n", "", text, flags=re.M)
    with Session.begin(door) as session:
        done = session.work_through(text)
    assert done[-1].said[-1].endswith("all proven in s3://practice/first/; 1 moved, 19 B")
    assert len(session.background) == 1


def _trimmed(lines: list[str]) -> list[str]:
    """Without the blank lines that stand before the next command."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def test_form_holds_what_matters() -> None:
    """Counts, sizes and words are compared; times and hashes are not."""
    said = ["scans-117e5661: 3 files, 1.2 MiB: all proven", "a", "b", "end 2026-11-29T10:00:00.1Z"]
    assert is_like(said, ["scans-00000000: 3 files, 1.2 MiB: all proven", "...", "end 2025-01-01"])
    assert not is_like(said, ["scans-117e5661: 4 files, 1.2 MiB: all proven", "..."])
    assert not is_like(said, said[:3])
    assert not is_like(said[:3], said)


def test_commands_and_what_they_print_are_found() -> None:
    text = '```toml title="a.toml"\nx = 1\n```\n\n```console\n$ one \\\n> two\nout\n$ three\n```\n'
    file, session = blocks(text)
    assert (file.title, file.lines) == ("a.toml", ["x = 1"])
    found = steps(session)
    assert [(step.command, step.shown) for step in found] == [
        ("one \\\ntwo", ["out"]), ("three", []),
    ]  # fmt: skip
    found[0].said = ["other", "words"]
    assert "> two\nother\nwords\n$ three" in with_said(text, found)
