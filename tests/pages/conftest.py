"""A headless Chromium, and the page of a transfer of 2,000 files to open in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.made import SIZES, Made
from waybill.report.write import write, write_index
from waybill.results import history, jobs
from waybill.results.history import Ended
from waybill.results.jobs import Job
from waybill.results.state import batches

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine; on Debian: apt install chromium")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """2,000 files in 8 batches: one failed, one waits, all others are proven."""
    made = Made(tmp_path_factory.mktemp("site"), name="survey", prefix="raw/", max_files=250)
    sizes = [size for size, count in SIZES.items() for _ in range(count)]
    files = {f"plate{n // 100:02d}/well_{n:05d}.tif": size for n, size in enumerate(sizes)}
    for start in range(0, len(files), 250):
        part = dict(list(files.items())[start : start + 250])
        made.batch(part, dataset="survey", name=f"b.{start:05d}.00000000", moved=len(part))
    bad = {"plate20/well_bad.tif": 123}
    made.batch(bad, dataset="survey", name="b.x.00000000", proven=False, status="+")
    made.fail("upload", "plate20/well_bad.tif", "S3 kept answering 503", dataset="survey")
    made.aside("!\tplate20/new.tif\t\theld back: modified too recently\n", dataset="survey")
    made.end()
    for number, kind in enumerate(("plan", "run", "verify", "run")):
        ended = Ended(
            time=f"2026-01-02T0{number}:04:05+00:00", seconds=62.5, kind=kind, code=number // 3,
            run="run1", files=2_000, bytes=5_000, moved_files=1_999, moved_bytes=4_900,
            said=["2000 files, 4.9 KiB: these are proven in s3://bucket/raw/"],
        )  # fmt: skip
        history.append(made.layout, ended)
    _jobs(made)
    write(made.transfer)
    write_index({"survey": made.transfer})
    return made


def _jobs(made: Made) -> None:
    """A record of each job of the last run, of nine seconds, one every five seconds."""
    start = 1_767_323_045.0 - 60  # 03:03:05, as the last run
    for number, (dataset, batch) in enumerate(batches(made.layout)):
        job = Job("upload", dataset, batch, f"node{number % 2}", begun=start + 5 * number)
        job.time, job.code, job.moved, job.every = job.begun + 9, 0, 9 << 20, 1.0
        job.moves = [1 << 20] * 9
        jobs.append(made.layout, job)


class Opened:
    """An open page, and all that went wrong on it."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1440, scheme: str = "light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "!document.querySelector('#shown') || / of |No /.test(shown.textContent)"
        )

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(f"asks for {request.url}")

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_text_contents()]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens a page; it must have had nothing to complain of when the test ends."""
    opened: list[Opened] = []

    def _open(path: Path, **settings: Any) -> Opened:
        opened.append(Opened(browser, path, **settings))
        return opened[-1]

    yield _open
    for one in opened:
        one.page.context.close()
        assert one.wrong == []
