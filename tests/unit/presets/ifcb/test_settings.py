"""Preset ifcb: what is taken, what waits, what is none of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from support.ifcb import NEW, OLD, bin_files, placed
from waybill.config import check, read
from waybill.inventory import sides
from waybill.model.entries import RemoteEntry
from waybill.presets.ifcb import settings
from waybill.results.layout import Layout

ROOT = Path(__file__).parents[4]
OTHER = "D20141117T001645_IFCB101"


@pytest.fixture
def look(tmp_path):
    """Both sides of a folder with these files, as an inventory finds them."""
    folder = tmp_path / "data"
    folder.mkdir()
    toml = tmp_path / "c.toml"

    def look(files, *, there=(), settle=0, fresh=(), **table):
        for path, body in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
            then = time.time() - (0 if path in fresh else 1000)
            os.utime(file, (then, then))
        settings = "".join(f"ifcb.{k} = {check.toml(v)}\n" for k, v in table.items())
        toml.write_text(
            f'[transfers.t]\npreset = "ifcb"\nsource = "{folder}"\nsettle = {settle}\n'
            f'destination = "s3://bucket/x"\n{settings}'
        )
        transfer = read.load(toml)["t"]
        listing = [RemoteEntry(path, size, 0, "etag") for path, size in sorted(there)]
        return sides.of_upload(transfer, Layout(tmp_path / "results" / "t"), lambda _: listing)

    look.folder = folder
    return look


def test_defaults():
    own = {"max_concurrency": 32, "one_job_per_batch": True}
    assert settings.defaults({}) == own | {"exclude": [".*/"]}
    assert settings.defaults({"ifcb": {"all_files": True}}) == own | {"exclude": []}
    table = check.default_settings("ifcb")["ifcb"]
    assert table == {"all_files": False, "skip_folders": ["skip", "beads"]}


def test_what_is_taken_and_what_is_not(look):
    whole, old = placed(NEW), placed(OLD)
    half = {path: body for path, body in placed(OTHER).items() if not path.endswith(".hdr")}
    left_out = {
        ".DS_Store": "not part of a bin",
        "decoy.adc": "not part of a bin",
        f"beads/{OTHER}.hdr": "in a folder beads",
        f"D2014/skip/{OTHER}.roi": "in a folder skip",
    }
    found = look(whole | old | half | dict.fromkeys(left_out, b"x") | {".hidden/x": b"x"})
    assert found.paths == sorted(whole | old)
    assert found.sizes == [len((whole | old)[path]) for path in found.paths]
    name = next(iter(half)).removesuffix(".adc")
    assert found.held == dict.fromkeys(half, f"bin {name}: no .hdr yet")
    assert found.skipped == left_out
    assert found.refused == {}

    found = look({}, skip_folders=["D2013"])
    assert {path for path in found.paths if path.startswith("D2013")} == set()
    assert f"beads/{OTHER}.hdr" in found.held, "no .adc yet, and no folder to be skipped"
    found = look({}, all_files=True)
    assert found.paths == sorted(whole | old | half | left_out.keys() | {".hidden/x"})
    assert (found.held, found.skipped) == ({}, {})


def test_a_fresh_file_holds_its_whole_bin_and_nothing_else(look):
    files = placed(NEW) | placed(OLD) | {"notes.txt": b"x", f"beads/{NEW}.hdr": b"x"}
    roi = next(path for path in files if path.endswith(f"{NEW}.roi"))
    fresh = {roi, "notes.txt", f"beads/{NEW}.hdr"}
    found = look(files, settle=100, fresh=fresh)
    assert found.paths == sorted(placed(OLD))
    reason = f"bin {roi[:-4]}: .roi modified too recently (settle)"
    assert found.held == dict.fromkeys(placed(NEW), reason)
    assert found.skipped == {
        "notes.txt": "not part of a bin", f"beads/{NEW}.hdr": "in a folder beads",
    }  # fmt: skip


def test_the_same_name_in_two_folders_is_two_bins(look):
    both = bin_files(NEW) | placed(NEW)
    del both[f"{NEW}.hdr"]
    found = look(both)
    assert found.paths == sorted(placed(NEW))
    assert set(found.held.values()) == {f"bin {NEW}: no .hdr yet"}


def test_what_is_there_is_not_looked_into_again(look, monkeypatch):
    files = bin_files(NEW) | bin_files(OLD)
    files[f"{NEW}.roi"] = files[f"{NEW}.roi"][:100]
    there = [(path, len(body)) for path, body in files.items()]
    opened = []
    monkeypatch.setattr(settings, "_tail", lambda root, path, *_: opened.append(path) or b"")
    assert look(files, there=there).held == {}
    assert opened == []
    there.remove((f"{OLD}.hdr", len(files[f"{OLD}.hdr"])))
    look(files, there=there)
    assert opened == [f"{OLD}.adc"]
    monkeypatch.undo()
    changed = [(path, size + (path == f"{NEW}.adc")) for path, size in there]
    assert look(files, there=changed).held.keys() == bin_files(NEW).keys()


def test_what_no_bin_has_is_no_failure(look):
    (look.folder / "broken").symlink_to("nowhere")
    (look.folder / f"{NEW}.adc").symlink_to("nowhere")
    found = look(bin_files(OLD))
    assert found.refused.keys() == {f"{NEW}.adc"}
    assert found.skipped == {"broken": "not part of a bin"}
    assert found.paths == sorted(bin_files(OLD))


def test_an_adc_that_cannot_be_opened_holds_nothing_back(look, monkeypatch):
    """Its checksum fails, by name."""

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings.os, "open", refuse)
    assert look(bin_files(NEW)).held == {}


def test_the_example_is_a_configuration(monkeypatch):
    monkeypatch.setenv("IFCB_DATA_DIR", "/data/ifcb")
    (transfer,) = read.load(ROOT / "config" / "ifcb.toml").values()
    assert (transfer.preset, transfer.direction, transfer.max_concurrency) == ("ifcb", "upload", 32)
    assert transfer.settle > 0
