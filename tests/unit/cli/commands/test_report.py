"""`waybill report`: pages from the results, without a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.made import Made
from waybill.cli.main import main
from waybill.report import write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work folder with a transfer that was made and one that never ran."""
    monkeypatch.chdir(tmp_path)
    made = Made(Path(), name="gut")
    made.batch({"a": 10, "b": 30}, dataset="gut", moved=2)
    made.end()
    (tmp_path / "data").mkdir()
    (tmp_path / "c.toml").write_text(
        "".join(
            f'[transfers.{name}]\nsource = "data"\npublish = false\n'
            f'destination = "s3://bucket/{name}"\n'
            for name in ("gut", "new")
        )
    )
    return tmp_path


def test_it_writes_a_page_for_each_transfer_and_tells_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--config", "c.toml", "--all"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "results/gut/report/index.html",
        "results/new/report/index.html",
        "results/index.html",
    ]
    assert "✓" in (folder / told[0]).read_text(encoding="utf-8")
    assert "No run yet" in (folder / told[1]).read_text(encoding="utf-8")
    index = (folder / told[2]).read_text(encoding="utf-8")
    assert index.index("no run yet") < index.index("✓ proven")


def test_without_its_packages_it_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_PACKAGES", {"no_such_module": "vl-convert"})
    assert main(["report", "--config", "c.toml"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "waybill: the report needs vl-convert: pip install 'snakemake-waybill[report]'\n"
    )
    assert not (folder / "results/gut/report").exists()
