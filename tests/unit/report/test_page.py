"""The page of a transfer, read as HTML."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from support.made import Made
from waybill.report import page
from waybill.results import history
from waybill.results.history import Ended


class Text(HTMLParser):
    """The text of each element with an id, and all addresses that a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: dict[str, list[str]] = {}
        self.loaded: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "link"):
            self.loaded += [v for k, v in given.items() if k in ("src", "href") and v]
        if tag not in ("meta", "link", "input", "br", "option"):
            self._open.append((tag, given.get("id") or ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name and data.strip():
                self.ids.setdefault(name, []).append(data.strip())


def render(made: Made) -> tuple[str, Text]:
    text = page.render(made.transfer, made.layout).html.decode()
    return text, Text(text)


def data_of(text: str) -> dict[str, Any]:
    if found := re.search(r'<script type="application/json" id="data">(.*?)</script>', text):
        return json.loads(found[1])
    found = re.search(r'<script type="text/plain" id="packed">(.*?)</script>', text)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path, prefix="data/")


def test_a_page_tells_how_it_ended_and_loads_nothing(made: Made) -> None:
    made.batch({"a": 10, "b": 30}, moved=2)
    made.end()
    history.append(
        made.layout,
        Ended(
            time="2026-01-02T03:04:05+00:00", seconds=62, kind="run", code=0, run="run1", files=2,
            bytes=40, moved_files=2, moved_bytes=40, said=["all proven"],
        ),
    )  # fmt: skip
    text, read = render(made)
    assert read.loaded == ["data:,"]
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text)
    assert read.ids["verdict"][:3] == [
        "✓",
        "Proven",
        "2 files, 40 B: all proven in s3://bucket/data/; 2 moved, 40 B",
    ]
    assert read.ids["history"][-7:] == [
        "2026-01-02 03:04:05 UTC", "run", "✓ ended well", "2", "2", "1 min 02 s", "all proven",
    ]  # fmt: skip
    data = data_of(text)
    assert (data["path"], data["size"], data["moved"]) == (["b", "a"], [30, 10], [1, 1])


def test_a_failed_transfer_names_every_failure(made: Made) -> None:
    made.batch({"a": 10, "b": 30}, proven=False, status="+", moved=1)
    made.fail("upload", "b", "S3 said no <b>", batch="b.a.00000000")
    made.end(listed=False)
    text, read = render(made)
    assert read.ids["verdict"][:3] == [
        "✗",
        "Failed",
        "1 failure stands. Mend what it names and run again.",
    ]
    assert read.ids["failures"][4:] == ["upload", "b", "S3 said no <b>", "1"]
    assert "no <b>" not in text.replace("no \\u003cb", "")
    assert read.ids["datasets"][8:11] == ["t", "✗ failed", "1 of 2"]


def test_a_transfer_that_never_ran_has_a_page_too(made: Made) -> None:
    _, read = render(made)
    assert read.ids["verdict"][1] == "No run yet"
    assert "entries" not in read.ids


def test_an_open_transfer_says_what_is_open(made: Made) -> None:
    made.batch({"a": 10}, name="b.a.00000000")
    made.batch({"b": 10}, name="b.b.00000000", proven=False, status="+")
    made.end(listed=False)
    _, read = render(made)
    assert read.ids["verdict"][:3] == [
        "○",
        "Not finished",
        "1 of 2 batches are not proven: t/b.b.00000000; run again to go on.",
    ]


def test_a_name_cannot_leave_the_page(made: Made) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    made.batch({evil: 3})
    made.end()
    text, read = render(made)
    assert data_of(text)["path"] == [evil]
    assert "<img" not in text
    assert text.count("<script") == 2  # the table and the script of the page
    assert read.loaded == ["data:,"]


def test_many_entries_are_packed(made: Made) -> None:
    made.batch({f"plate_{n // 100:03d}/well_{n:05d}.tif": n for n in range(8_000)})
    made.end()
    text, _ = render(made)
    assert 'id="packed"' in text
    data = data_of(text)
    assert len(data["path"]) == len(set(data["path"])) == 8_000
    assert len(data["sha256"]) == 8_000


def test_what_has_no_room_is_left_to_the_tables(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst and largest stay, and the page says how many they are."""
    monkeypatch.setattr(page, "PLAIN_BYTES", 1_000)
    monkeypatch.setattr(page, "MOST_DATA", 2_000)
    monkeypatch.setattr(page, "SHORTENED", 10)
    made.batch({f"f{n:04d}": n for n in range(400)})
    made.end()
    text, _ = render(made)
    data = data_of(text)
    assert 10 <= len(data["path"]) < 60
    assert data["path"][0] == "f0399"
    shown = len(data["path"])
    assert f"The worst and largest {shown} of 400; all" in " ".join(text.split())


def test_a_page_shows_no_secret(tmp_path: Path) -> None:
    made = Made(tmp_path, endpoint_url="https://token-of-ours.example", max_files=5)
    made.batch({"a": 1})
    made.end()
    text, read = render(made)
    assert "token-of-ours" not in text
    assert read.ids["settings"][-2:] == ["max_files", "5"]


def test_a_verification_that_found_something_is_told(made: Made) -> None:
    made.batch({"a": 1})
    made.end()
    from waybill.verify import open_findings
    from waybill.verify.judge import SOURCE, Finding
    from waybill.verify.layout import Verified, VerifyLayout

    found = [("t", Finding("*", SOURCE, "a", 1, "modified since it was proven"))]
    layout = VerifyLayout(made.layout.root, "run-1")
    open_findings.update(layout, Verified(files=1, looked=1), "content", found)
    text, read = render(made)
    assert read.ids["verdict"][1] == "Not as proven"
    assert "a: modified since it was proven" in text
