"""What the inventory tidies up in the results before it looks."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from waybill.results.audit import tidy
from waybill.results.layout import Layout


def test_only_a_result_is_dated_in_the_future(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that is at work has written how far it is since the look at the clock."""
    layout = Layout(tmp_path / "t")
    ahead = time.time_ns() + 60 * 10**9
    for path in (layout.progress / "upload.d@b.json", layout.plan):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, ns=(ahead, ahead))
    now_ns = tidy(layout)
    (said,) = caplog.messages
    assert said.startswith(f"{layout.root}: 1 files are dated in the future")
    assert layout.plan.stat().st_mtime_ns <= now_ns < ahead
    assert (layout.progress / "upload.d@b.json").stat().st_mtime_ns == ahead
