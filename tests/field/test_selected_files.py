"""C3: files of instruments and laboratories that are not what their names say."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import Door

from support.ifcb import NEW, bin_files
from waybill.config import read
from waybill.inventory import sides
from waybill.model.entries import RemoteEntry
from waybill.presets.hca import HDF5_SIGNATURE
from waybill.results.layout import Layout


@pytest.fixture
def look(tmp_path: Path):
    """What an inventory finds of these files."""
    folder = tmp_path / "data"
    folder.mkdir()

    def look(
        preset: str, files: dict[str, bytes], *, there: dict[str, int] | None = None, more: str = ""
    ) -> sides.Sides:
        for path, body in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        own = {
            "ifcb": 'destination = "s3://bucket/x"\n',
            "hca": 'hca.atlas = "gut-v1"\n',
        }
        (tmp_path / "c.toml").write_text(
            f'[transfers.t]\npreset = "{preset}"\nsource = "{folder}"\n{own[preset]}{more}'
        )
        transfer = read.load(tmp_path / "c.toml")["t"]
        listed = [RemoteEntry(path, size, 0, "etag") for path, size in (there or {}).items()]
        return sides.of_upload(transfer, Layout(tmp_path / "results" / "t"), lambda _: listed)

    return look


def test_C3_hidden_folders_are_not_entered_by_preset_ifcb(look, tmp_path: Path) -> None:
    snapshot = {f".snapshot/hourly.0/{path}": body for path, body in bin_files(NEW).items()}
    files = bin_files(NEW) | snapshot | {f"D2013/.zfs/{NEW}.hdr": b"x"}
    found = look("ifcb", files)
    assert found.paths == sorted(bin_files(NEW))
    assert (found.held, found.skipped, found.refused) == ({}, {}, {})
    # An own list of excludes leaves them out all the same.
    found = look("ifcb", files, more='exclude = ["*.tmp"]\n')
    assert found.paths == sorted(bin_files(NEW))
    assert set(found.skipped.values()) == {"in a hidden folder"}
    assert (found.held, found.refused) == ({}, {})
    assert look("ifcb", files, more="ifcb.all_files = true\n").paths == sorted(files)


def test_C3_a_folder_that_cannot_be_looked_at_is_not_skipped(look, tmp_path: Path) -> None:
    (tmp_path / "data" / "latest").symlink_to("nowhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere")
    found = look("ifcb", bin_files(NEW), more='symlinks = "error"\n')
    assert found.refused.keys() == {"more"}
    assert found.skipped.keys() == {"latest"}


USER_BLOCK = b"\0" * 2048 + HDF5_SIGNATURE + b"rest"
H5AD = {
    "s1.h5ad": HDF5_SIGNATURE,
    "s2.h5ad": HDF5_SIGNATURE + b"more",
    "block.h5ad": USER_BLOCK,
    "small-block.h5ad": b"a user block".ljust(512) + HDF5_SIGNATURE,
    "._s1.h5ad": b"\0\5\26\7Mac OS X",
    "text.h5ad": b"<html>not found</html>",
    "empty.h5ad": b"",
    "shifted.h5ad": b"\0" * 100 + HDF5_SIGNATURE + b"\0" * 5000,
    "late.h5ad": b"\0" * 1500 + HDF5_SIGNATURE,
}
NO_HDF5 = ["empty.h5ad", "late.h5ad", "shifted.h5ad", "text.h5ad"]


def test_C3_files_that_are_no_hdf5_are_named_and_those_of_macos_left_out(look, caplog) -> None:
    found = look("hca", H5AD, more="hca.hdf5_only = true\n")
    assert found.paths == ["block.h5ad", "s1.h5ad", "s2.h5ad", "small-block.h5ad"]
    assert sorted(found.refused) == NO_HDF5
    assert all("is no HDF5 file" in reason for reason in found.refused.values())
    assert found.skipped == {"._s1.h5ad": "a file that macOS keeps beside another"}
    # What the bucket has is not read again: nothing of it is going to be sent.
    there = {"text.h5ad": len(H5AD["text.h5ad"]), "late.h5ad": 5}
    found = look("hca", H5AD, there=there, more="hca.hdf5_only = true\n")
    assert sorted(found.refused) == ["empty.h5ad", "late.h5ad", "shifted.h5ad"]
    found = look("hca", H5AD)
    assert found.refused == {}
    assert [r.getMessage().partition(" ")[0] for r in caplog.records] == NO_HDF5
    assert found.skipped.keys() == {"._s1.h5ad"}


def test_C3_hca_smart_sync_names_them_before_anything_is_sent(door: Door) -> None:
    for name in ("s1.h5ad", "._s1.h5ad", "text.h5ad"):
        (door.data / name).write_bytes(H5AD[name])
    dry = door.run("gut-v1", "--dry-run")
    assert dry.puts() == []
    assert "text.h5ad is no HDF5 file" in dry.err
    assert "it is sent as it is (--hdf5-only refuses it)" in dry.err
    said = door.run("gut-v1", "--yes", "--hdf5-only", code=1)
    assert said.puts() == ["gut/gut-v1/source-datasets/s1.h5ad"]
    assert "FAILED text.h5ad: refused: is no HDF5 file" in said.err
    assert "without --hdf5-only it is sent as it is" in said.err
    assert "hdf5_only" not in dry.all + said.all
    assert "skipped ._s1.h5ad: " in said.out
    listed = [[file["filename"] for file in one["files"]] for one in door.manifests()]
    assert listed == [["s1.h5ad"]]
    again = door.run("gut-v1", "--yes")
    assert "text.h5ad is no HDF5 file" in again.err
    assert again.puts() == ["gut/gut-v1/source-datasets/text.h5ad"]
    assert len(door.manifests()) == 2
