"""`waybill help`: an exit code or the words of a message, looked up in the catalogue."""

from __future__ import annotations

import re

import pytest

from waybill.cli.commands.help import search
from waybill.cli.main import main
from waybill.messages import page
from waybill.messages.find import messages


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["help", *words]) == code
    return "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "text, name",
    [
        ("waybill: t: FAILED a: AWS profile 'x' is not configured; see"
         " `aws configure list-profiles`", "no-profile"),
        ("config/config.toml: no such file; `waybill init` writes one, `--config TOML`"
         " names another, and `waybill copy SOURCE DESTINATION` needs none", "settings-file"),
        ("no terminal to ask on: add --yes; nothing uploaded", "no-terminal"),
        ("profile is not configured", "no-profile"),
        ("sync-from-s3: no files of region 999_Nowhere", "argument"),
    ],
)  # fmt: skip
def test_a_line_of_the_screen_leads_to_its_entry(text: str, name: str) -> None:
    assert search(text)[0].name == name


def test_most_messages_lead_to_their_entry() -> None:
    """As they stand on the screen, with something filled in."""
    wrong = []
    whole = [m for m in messages() if not m.is_part and (entry := page.entry_of(m))]
    for message in whole:
        entry = page.entry_of(message)
        text = re.sub(r"\{[^{}]*\}", " x1 ", message.text)
        if entry not in search(text):
            wrong.append((message.text, [e.name for e in search(text)]))
    assert len(wrong) <= len(whole) // 50, wrong


def test_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "no", "terminal", "to", "ask", "on")
    entry = page.ENTRIES["no-terminal"]
    assert text.splitlines() == [
        "no terminal",
        f"  What happened: {entry.happened}",
        f"  What to do:    {entry.do}",
        "  Exit code:     2",
    ]
    text = said(capsys, "3")
    assert text.startswith("3: nothing matched the selection\nMessages with this code: ")
    assert said(capsys, "130").startswith("130: interrupted\n")
    text = said(capsys, "frobnicate", code=3)
    assert text == (
        "waybill: frobnicate: no message has these words; docs/troubleshooting.md has them all\n"
    )


def test_help_of_a_command_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help", "run"], ["run", "--help"], ["help"], ["--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.count("usage: waybill run") == 2
    assert text.count("usage: waybill [-h]") == 2
