"""The report in a browser: its table, its charts, widths, themes, paper, and access for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.made import SIZES, Made
from waybill.report.write import write

Open = Callable[..., Any]


def test_the_table_sorts_filters_and_pages(made: Made, open_page: Open) -> None:
    opened = open_page(made.layout.page)
    page = opened.page
    rows = "#entries tbody tr"
    assert page.locator("#shown").inner_text() == "1 to 25 of 2,001"
    assert opened.texts(f"{rows}:first-child td")[0] == "✗ failed"
    page.get_by_role("button", name="Path").click()
    first = opened.texts(f"{rows} td.path")[0]
    assert first == "plate00/well_00000.tif"
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Path")
    page.get_by_role("button", name="Path").click()
    assert opened.texts(f"{rows} td.path")[0] == "plate20/well_bad.tif"
    page.get_by_role("button", name="Size").click()
    assert opened.texts(f"{rows} td.n")[0] == "4.8 MiB"
    page.get_by_label("Find in paths").fill("PLATE07/")
    assert page.locator("#shown").inner_text() == "1 to 25 of 100"
    page.get_by_role("button", name="Next").click()
    assert page.locator("#shown").inner_text() == "26 to 50 of 100"
    page.get_by_label("Rows").select_option("100")
    assert page.locator(rows).count() == 100
    page.get_by_label("Find in paths").fill("kept answering")
    assert opened.texts(f"{rows} td.reason") == ["S3 kept answering 503"]
    page.get_by_label("Find in paths").fill("")
    page.get_by_label("State").select_option(label="held back (1)")
    assert opened.texts(f"{rows} td.path")[0] == "plate20/new.tif"
    page.get_by_label("Find in paths").fill("no such thing")
    assert page.locator("#shown").inner_text() == "No entry matches."


BARS = """() => {
  const svg = document.querySelector('#chart-sizes .wide svg');
  const group = svg.querySelector('.mark-group.role-scope') || svg;
  const of = (scope) => ({
    bars: [...scope.querySelectorAll('.mark-rect.role-mark path')].map((bar) => {
      const box = bar.getBoundingClientRect();
      return {top: box.top, height: box.height, middle: box.left + box.width / 2};
    }),
    ticks: [...scope.querySelectorAll('.role-axis-label text')].map((text) => {
      const box = text.getBoundingClientRect();
      return {text: text.textContent, x: box.left + box.width / 2, y: box.top + box.height / 2,
        shown: getComputedStyle(text).opacity !== '0'};
    }),
  });
  return [...svg.querySelectorAll('.mark-group.role-scope > g > g')].map(of)
    .filter((found) => found.bars.length);
}"""


def test_the_bars_have_the_heights_of_the_data(made: Made, open_page: Open) -> None:
    """Read back from the geometry alone: the height of a bar on the scale of its axis."""
    panels = open_page(made.layout.page).page.evaluate(BARS)
    assert len(panels) == 2, panels
    files, data = panels
    expected = sorted((*SIZES.values(), 1), reverse=True)
    read = sorted((round(v) for v in _values(files) if v > 0.5), reverse=True)
    wanted: dict[int, int] = {}
    for size, count in [*SIZES.items(), (123, 1)]:
        wanted[_class(size)] = wanted.get(_class(size), 0) + count
    assert read == pytest.approx(sorted(wanted.values(), reverse=True), abs=4)
    assert sum(read) == pytest.approx(sum(expected), abs=12)
    largest = max(_values(data))
    assert largest == pytest.approx(99 * 5_000_000 / 2**20, rel=0.02)


def _class(size: int) -> int:
    return (size.bit_length() - 1) // 2


def _values(panel: dict[str, Any]) -> list[float]:
    """The value of each bar, by the labels of the axis on its left."""
    numbers = [
        (float(tick["text"].replace("k", "")) * (1000 if "k" in tick["text"] else 1), tick["y"])
        for tick in panel["ticks"]
        if re.fullmatch(r"[\d.]+k?", tick["text"])
    ]
    (low, y0), (high, y1) = min(numbers), max(numbers)
    assert high > low
    per_px = (high - low) / (y0 - y1)
    return [bar["height"] * per_px for bar in panel["bars"]]


def test_throughput_and_timeline_have_axes_and_marks(made: Made, open_page: Open) -> None:
    opened = open_page(made.layout.page)
    (told,) = opened.texts("#chart-throughput figcaption")
    assert told.startswith("81.0 MiB by 9 jobs in 49 seconds, 1.7 MiB/s on average, 2.0 MiB/s at")
    texts = opened.texts("#chart-throughput .wide svg text")
    assert "MiB/s" in texts
    assert any("since 2026-01-02" in text for text in texts)
    bars = opened.page.locator("#chart-timeline .wide .mark-rect.role-mark path[aria-label]")
    assert bars.count() == 9
    lanes = opened.texts("#chart-timeline .wide .role-axis-label text")
    assert {"node0 1", "node1 1"} <= set(lanes)
    boxes = [bars.nth(n).bounding_box()["width"] for n in range(9)]
    assert max(boxes) == pytest.approx(min(boxes), rel=0.05)  # each job took nine seconds


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_can_be_read_by_all(
    made: Made, open_page: Open, width: int, scheme: str
) -> None:
    """No page is wider than the window, and none breaks a rule of axe-core, contrast among them."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core here")
    for path in (made.layout.page, made.layout.root.parent / "index.html"):
        opened = open_page(path, width=width, scheme=scheme)
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        shown = opened.page.evaluate(
            "[...document.querySelectorAll('figure svg')].filter(s => s.clientWidth)"
            ".map(s => [s.getBoundingClientRect().right, s.clientHeight])"
        )
        assert all(right <= width and height > 50 for right, height in shown), shown
        found = axe.Axe().run(opened.page).response["violations"]
        assert [(rule["id"], [n["target"] for n in rule["nodes"]][:3]) for rule in found] == []


def test_2000_files_fit_on_six_sheets_of_paper(made: Made, open_page: Open, tmp_path: Path) -> None:
    opened = open_page(made.layout.page)
    data = opened.page.pdf(format="A4")
    sheets = len(re.findall(rb"/Type\s*/Page\b(?!s)", data))
    assert 1 <= sheets <= 6


def test_a_packed_table_of_100000_entries_opens(tmp_path: Path, open_page: Open) -> None:
    made = Made(tmp_path)
    files = {f"plate_{n // 1000:03d}/well_{n:06d}.tif": n for n in range(100_000)}
    made.batch(files)
    made.end()
    path = write(made.transfer)
    assert path.stat().st_size < 5_000_000
    page = open_page(path).page
    assert page.locator("#shown").inner_text() == "1 to 25 of 100,000"
    page.get_by_label("Find in paths").fill("well_0999")
    assert page.locator("#shown").inner_text() == "1 to 25 of 100"
    page.get_by_label("Find in paths").fill("")
    page.get_by_role("button", name="Size").click()
    page.get_by_role("button", name="Size").click()
    assert page.locator("#entries tbody td.path").first.inner_text() == "plate_000/well_000000.tif"


def test_links_lead_to_files_that_are_there(made: Made, open_page: Open) -> None:
    for path in (made.layout.page, made.layout.root.parent / "index.html"):
        links = open_page(path).page.evaluate("[...document.links].map(a => a.href)")
        assert links
        for link in links:
            assert Path(link.removeprefix("file://")).exists(), link
