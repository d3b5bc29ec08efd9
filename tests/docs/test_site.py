"""The site that `make docs` builds: all pages, no warning, nothing from the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the extra `docs` is installed, as in the job `docs` of the CI."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    pages = {p.relative_to(ROOT / "docs").with_suffix("") for p in (ROOT / "docs").rglob("*.md")}
    built = {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}
    assert pages <= built
    assert Path("repository/benchmarks/peers") in built


def test_a_page_loads_nothing_from_the_network(site: Path) -> None:
    """Scripts, styles, pictures and fonts; a link is loaded when somebody follows it."""
    loads = re.compile(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*>')
    seen = 0
    for page in site.rglob("*.html"):
        for found in loads.finditer(page.read_text(encoding="utf-8")):
            target = found[1] or re.search(r'href="([^"]*)"', found[0])[1]
            seen += 1
            assert not re.match(r"(https?:)?//", target), f"{page.name}: {target}"
    assert seen > 100
    styles = "".join(p.read_text(encoding="utf-8") for p in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?https?:", styles)


def test_a_search_needs_no_server(site: Path) -> None:
    """The index is a script, which a page that is opened as a file may load."""
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = {")
    assert "Your first transfer" in index
