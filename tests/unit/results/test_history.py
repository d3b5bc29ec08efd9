"""The history of a transfer."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.results import history
from waybill.results.history import Ended
from waybill.results.layout import Layout
from waybill.system import json_lines

FIRST = Ended(time="2026-01-02T03:04:05+00:00", seconds=1.5, kind="plan", code=0, files=3)
SECOND = Ended(
    time="2026-01-02T03:05:05+00:00", seconds=2, kind="run", code=1, said=["FAILED ü: gone"]
)


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert history.read(layout) == []
    for ended in (FIRST, SECOND):
        history.append(layout, ended)
    assert history.read(layout) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "torn",
    [b'{"time":"2026-01', b'{"time":1,"seconds":1,"kind":"run","code":0}', b"\xff", b"[]", b"{}"],
)
def test_a_torn_or_damaged_line_costs_only_itself(tmp_path: Path, torn: bytes) -> None:
    layout = Layout(tmp_path)
    history.append(layout, FIRST)
    with layout.history.open("ab") as file:
        file.write(torn)
    history.append(layout, SECOND)
    assert history.read(layout) == [FIRST, SECOND]


def test_a_member_of_a_later_version_is_left_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.history.write_text(
        '{"time":"t","seconds":1,"kind":"run","code":0,"weather":"fine"}\n', encoding="utf-8"
    )
    assert history.read(layout) == [Ended(time="t", seconds=1, kind="run", code=0)]


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MOST_BYTES", 2_000)
    monkeypatch.setattr(json_lines, "KEPT_LINES", 3)
    layout = Layout(tmp_path)
    for number in range(40):
        history.append(layout, Ended(time=str(number), seconds=0, kind="run", code=0))
        assert layout.history.stat().st_size <= 2_000
    assert history.read(layout)[-1].time == "39"


def test_long_lines_are_cut(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    said = [*(str(n) for n in range(30)), "x" * 2_000]
    history.append(layout, Ended(time="t", seconds=0, kind="run", code=1, said=said))
    (ended,) = history.read(layout)
    assert ended.said == [*(str(n) for n in range(11, 30)), "x" * 500]
