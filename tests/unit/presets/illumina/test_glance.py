"""A glance at a state file tells what reading all of it tells, or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from waybill.presets.illumina import run_state
from waybill.presets.illumina.glance import Glance, glance, partial
from waybill.presets.illumina.run_state import SUFFIX, RunState


def test_what_is_written_is_seen(tmp_path: Path) -> None:
    for number, name in enumerate(("run_1", 'Mü"\\x', "a" * 4000, "\udcff\t\n")):
        for completed in (True, False):
            file = tmp_path / f"{number}{completed}{SUFFIX}"
            files = {f"/seq/{name}/{i}": "etag" for i in range(300)}
            state = RunState(name, f"/seq/{name}", completed, uploaded_files=files)
            run_state.write(file, state)
            assert glance(file) == Glance(f"/seq/{name}", completed)
            assert run_state.read(file).completed is completed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1, 2]",
        '{"run_path": "/seq/run_1", "run_id": "run_1", "completed": true, "x": 1}',
        '{"run_id": "run_1", "run_path": "/seq/run_1", "completed": "true", "x": 1}',
        '{"run_id": "run_1", "run_path": "/seq/\\u12", "completed": true, "x": 1}',
        '{"run_id": "run_1", "run_path": "/seq/run_1", "completed": true, "uploaded_files": {"a',
    ],
)
def test_what_has_to_be_read_is_not_guessed(tmp_path: Path, text: str) -> None:
    (tmp_path / f"run_1{SUFFIX}").write_text(text)
    assert glance(tmp_path / f"run_1{SUFFIX}") is None
    assert list(partial(tmp_path)) == [None]


def test_partial(tmp_path: Path) -> None:
    for name, completed in (("a", False), ("b", True), ("c", False)):
        known = asdict(RunState(name, f"/seq/{name}", completed))
        (tmp_path / f"{name}{SUFFIX}").write_text(json.dumps(known))
    (tmp_path / "d.retry.json").write_text("{}")
    assert list(partial(tmp_path)) == ["/seq/a", "/seq/c"]
    assert list(partial(tmp_path / "nowhere")) == []
    assert glance(tmp_path / "nowhere") is None
