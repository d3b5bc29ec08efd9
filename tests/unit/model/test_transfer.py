"""What jobs get of a transfer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from support.transfers import transfer_of
from waybill.model.transfer import Transfer

ODD = {
    "folder": Path("/data/\udcff ü"),
    "folders": (Path("/data/a"), Path("/data/b")),
    "results": Path("results/t"),
    "verify_against": Path("old/manifest.json"),
    "include": ("*.h5ad", "**/x"),
    "exclude": ("*.tmp",),
    "first": ("RunInfo.xml",),
    "last": ("done",),
    "verify_sample": (1, 20),
    "exclude_regexes": ("^x",),
}


def test_every_path_and_tuple_is_among_the_odd_settings():
    odd = {f.name for f in dataclasses.fields(Transfer) if "Path" in f.type or "tuple" in f.type}
    assert odd == ODD.keys()


def test_jobs_get_every_setting_as_it_was_through_text():
    settings = {"tags": {"a": "b"}, "preset_settings": {"days": [1, 2], "deep": {"x": None}}}
    transfer = transfer_of(**ODD, **settings)
    told = json.loads(json.dumps(transfer.for_jobs()))
    assert told == transfer.for_jobs()
    assert Transfer.of_jobs(told) == transfer
