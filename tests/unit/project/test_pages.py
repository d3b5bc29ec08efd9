"""Every link inside the pages leads to a file and a heading that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def pages() -> list[Path]:
    """The Markdown pages that Git knows, or all that there are outside of Git."""
    command = ["git", "ls-files", "--", "*.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.split()
    return [ROOT / n for n in names] or [*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/**/*.md")]


def anchors(page: Path) -> set[str]:
    """The anchors that a reader of Markdown on the web makes of the headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def broken(page: Path) -> list[str]:
    found = []
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            found.append(f"{page.relative_to(ROOT)}: {target}")
    return found


def test_every_link_leads_somewhere():
    assert len(pages()) > 10
    assert [link for page in pages() for link in broken(page)] == []


def test_a_link_to_a_heading_that_is_not_there_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "a.md"
    page.write_text("# One, two\n[a](#one-two) [b](#three) [c](b.md) [d](https://example.org)\n")
    assert broken(page) == ["a.md: #three", "a.md: b.md"]
