"""The preset of another distribution, as docs/presets.md shows it, in real runs of the workflow."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.objects import keys
from support.proxy import Proxy
from support.published import publish_seis
from support.server import S3Server
from support.workflow import Workflow, is_manifest


@pytest.fixture
def work(tmp_path: Path, proxy: Proxy) -> Workflow:
    publish_seis(tmp_path / "site")
    return Workflow(tmp_path, proxy, {"PYTHONPATH": os.fspath(tmp_path / "site")})


def test_its_settings_its_judgement_and_its_tool(work: Workflow, bucket: str, s3: S3Server) -> None:
    future = f"BFO/{datetime.now(UTC) + timedelta(days=1):%Y.%j}.mseed"
    for path in ("BFO/2020.001.mseed", future, "BFO/notes.txt"):
        work.write(path, b"counts")
    work.configure(bfo={"preset": "seis", "seis.network": "GR", "seis.bucket": bucket})
    run = work.run()
    assert run.data_puts == ["GR/BFO/2020.001.mseed"]
    assert "waybill: bfo: 1 held back: its day is not over" in run.lines
    manifest = work.results("bfo").manifest()
    assert manifest["metadata"]["tool"] == "seis-archive"
    (published,) = (key for key in keys(s3, bucket) if is_manifest(key))
    assert published.startswith("GR/manifests/")
    assert [file["filename"] for file in manifest["files"]] == ["BFO/2020.001.mseed"]
    assert work.run().data_puts == []

    work.configure(
        bfo={"preset": "seis", "seis.network": "GR", "seis.bucket": bucket, "seis.today": True}
    )
    assert work.run().data_puts == [f"GR/{future}"]


def test_its_mistakes_are_reported_like_any_other(work: Workflow) -> None:
    work.configure(
        one={"preset": "seis", "seis.network": "gräfenberg", "seis.toady": True},
        two={"preset": "seis"},
        three={"preset": "seiss", "destination": "s3://bucket"},
    )
    place = "waybill: config.toml: transfers."
    assert work.run(code=2).lines == [
        f'{place}one.seis.network: "gräfenberg" is not allowed; allowed: two capital letters or'
        " digits",
        f'{place}one.seis.toady: unknown key; did you mean "today"?',
        f'{place}three.preset: "seiss" is not allowed; did you mean "seis"? allowed: "generic",'
        ' "hca", "glacier", "illumina", "ifcb", "seis"',
        f'{place}two.seis.network: missing; preset "seis" needs a network, like "GR"',
    ]


def test_one_that_cannot_be_loaded(work: Workflow) -> None:
    (work.folder / "site" / "waybill_seis.py").write_text("import seedlink\n")
    work.configure(bfo={"preset": "seis", "seis.network": "GR"})
    assert work.run(code=2).lines == [
        'waybill: preset "seis" of waybill-seis 1.0 cannot be loaded: ModuleNotFoundError:'
        " No module named 'seedlink'"
    ]
