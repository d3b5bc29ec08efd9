"""The pages are written beside the results, by a process of their own after a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.made import Made
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.report import write


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path)
    made.batch({"a": 10}, moved=1)
    made.end()
    return made


def test_a_page_takes_the_place_of_the_former_one(made: Made) -> None:
    former = made.layout.page.with_name("plan.html")
    former.parent.mkdir()
    former.touch()
    assert write.write(made.transfer) == made.layout.page
    assert made.layout.page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not former.exists()


def test_charts_are_files_too_and_go_when_there_is_nothing_to_draw(made: Made) -> None:
    stale = made.layout.chart("throughput")
    stale.parent.mkdir()
    stale.touch()
    write.write(made.transfer)
    drawn = made.layout.chart("sizes").read_text(encoding="utf-8")
    assert "--c-blue: #0072b2" in drawn
    assert "4 B; files: 1" in drawn
    assert not stale.exists()


def test_after_a_run_another_process_writes_it(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_REPORT", raising=False)
    assert write.after_run({"t": made.transfer}) == []
    assert made.layout.page.exists()


def test_the_variable_keeps_runs_from_writing_one(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_REPORT", "no")
    assert write.after_run({"t": made.transfer}) == []
    assert not made.layout.page.exists()


def test_a_page_that_cannot_be_written_is_one_line(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYBILL_REPORT", raising=False)
    (made.layout.root / "report").write_text("a file in the place of the folder")
    (line,) = write.after_run({"t": made.transfer})
    assert line.startswith("t: no report page: ")
    assert "report" in line


def test_a_mistake_of_ours_is_one_line_too(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_REPORT", raising=False)
    monkeypatch.setattr(json, "dumps", lambda _: "no JSON")
    (line,) = write.after_run({"t": made.transfer})
    assert line.startswith("the report pages were not written: json.decoder.JSONDecodeError")


def test_a_missing_package_is_told_in_one_line(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "_PACKAGES", {"no_such_module": "altair"})
    with pytest.raises(WaybillError, match="the report needs altair: pip install") as caught:
        write.write(made.transfer)
    assert caught.value.exit_code == EXIT_CONFIG
    monkeypatch.delenv("WAYBILL_REPORT", raising=False)
    assert write.after_run({"t": made.transfer}) == []


def test_the_index_names_every_transfer(tmp_path: Path) -> None:
    good, bad = Made(tmp_path, name="good"), Made(tmp_path, name="bad")
    good.batch({"a": 10})
    good.end()
    bad.batch({"b": 10}, proven=False)
    bad.fail("upload", "b", "denied")
    bad.end()
    write.write(good.transfer)
    transfers = {"good": good.transfer, "bad": bad.transfer}
    assert write.write_index(transfers) == [tmp_path / "results" / "index.html"]
    text = (tmp_path / "results" / "index.html").read_text(encoding="utf-8")
    assert '<a href="good/report/index.html">good</a>' in text
    assert "bad/report" not in text  # there is no such page yet
    assert text.index("✗ failed") < text.index("✓ proven")


def test_a_job_that_moves_data_imports_nothing_of_it() -> None:
    code = (
        "import sys; import waybill.stages.job, waybill.stages.rules, waybill.stages.move,"
        " waybill.stages.run, waybill.stages.compare, waybill.stages.verify;"
        "print(sorted({'pandas', 'altair', 'jinja2', 'vl_convert'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
