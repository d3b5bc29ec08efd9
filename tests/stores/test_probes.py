"""Each store answers the questions of `waybill probe` as docs/stores has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from brands import BRANDS, NotInstallable

from support.probing import all_rows, transfer_to
from support.server import client_for, env_for
from waybill.cli.probe.page import Record, read_record, render

RECORDS = Path(__file__).parents[2] / "docs" / "stores"
RECORDS_ANEW = bool(os.environ.get("RECORD_STORES"))


@pytest.mark.parametrize("name", BRANDS)
def test_the_answers_are_those_on_the_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = BRANDS[name]
    try:
        with brand.start(tmp_path) as url:
            for variable, value in env_for(url).items():
                monkeypatch.setenv(variable, value)
            client_for(url).create_bucket(Bucket="waybill-probed")
            transfer = transfer_to(url, "waybill-probed")
            first, second = all_rows(transfer), all_rows(transfer)
            version = brand.version()
    except NotInstallable as reason:
        pytest.skip(str(reason))
    assert second == first
    file = RECORDS / f"{name}.json"
    found = Record(brand.name, version, first)
    if RECORDS_ANEW:
        file.write_text(render(found), encoding="utf-8")
    assert read_record(file).rows == first, f"{version}; record anew with make record-stores"
