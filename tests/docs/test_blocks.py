"""Every block of a page has a language, and is what the language says (CONTRIBUTING.md)."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.session import Block, blocks, steps
from waybill.cli import options_page

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
OPTIONS = {
    parser.prog: {word for action in parser._actions for word in action.option_strings}
    for parser in options_page.parsers()
}
_PROGRAMS = {name.split()[0] for name in OPTIONS}
# What a page leaves out, or a reader fills in.
_LEFT_OUT = re.compile(r"^\s*(\.\.\.|…).*$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_is_what_its_language_says(page: Path) -> None:
    wrong = []
    for block in blocks(page.read_text(encoding="utf-8")):
        try:
            _check(block)
        except (ValueError, SyntaxError, AssertionError) as error:
            wrong.append(f"{page.relative_to(ROOT)}:{block.first}: {error}")
    assert wrong == []


def _check(block: Block) -> None:
    text = "\n".join(block.lines)
    assert block.language, "no language; `text` is for output"
    if block.language == "toml":
        tomllib.loads(_LEFT_OUT.sub("", text))
    elif block.language == "json" and not _LEFT_OUT.search(text):
        json.loads(text)
    elif block.language == "python":
        compile(text, "block", "exec")
    elif block.language == "bash":
        _check_shell(text)
    elif block.language == "console":
        for step in steps(block):
            _check_shell(step.command)


def _check_shell(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|", line):
            _check_command(shlex.split(part, comments=True))


def _check_command(words: list[str]) -> None:
    """That command and options exist, where it is one of Waybill's."""
    while words and "=" in words[0]:
        words = words[1:]
    if not words or words[0] not in _PROGRAMS:
        return
    name = " ".join(words[:2]) if " ".join(words[:2]) in OPTIONS else words[0]
    assert name in OPTIONS or words[1:2] in (["--help"], ["--version"]), f"no command {words[:2]}"
    for word in words[: words.index("--")] if "--" in words else words:
        option = word.partition("=")[0]
        if word.startswith("-"):
            assert option in OPTIONS.get(name, {"--help", "--version"}), f"{name} has no {option}"


def test_a_block_that_is_not_what_it_says_is_found() -> None:
    for language, line in [
        ("", "x"), ("toml", "x ="), ("json", "{"), ("bash", "if"), ("bash", "waybill move a b"),
        ("bash", "waybill plan --depth content"), ("console", "$ X=1 sync-from-s3 --delete"),
    ]:  # fmt: skip
        with pytest.raises((ValueError, SyntaxError, AssertionError)):
            _check(Block(language, "", [line], 1))
    _check(Block("bash", "", ["waybill run --yes -- --anything && waybill status"], 1))
