"""``sync-from-s3`` when something goes wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from glaciers import BASE, SCENES, Glacier, fetched, is_tile, tree

from support.proxy import Delay, Fault, Request, access_denied, slow_down
from waybill.system.locks import lock_folder


def processed() -> dict[str, bytes]:
    return {path: body for path, body in tree("old").items() if not is_tile(path)}


class _Listing(Fault):
    """A fault on the listing of one prefix alone."""

    prefix = ""

    def take(self, request: Request) -> bool:
        return request.query.get("prefix") == self.prefix and super().take(request)


def test_one_satellite_never_hides_the_other(glacier: Glacier, tmp_path: Path) -> None:
    """First sentinel2 cannot be listed, then one of its files cannot be read and a busy server
    passes by, then somebody else is at work in its folder. Who is to be told is told."""
    told = tmp_path / "told"
    file = glacier.configure()
    command = ["sh", "-c", f"cat >> '{told}'"]
    file.write_text(f"{file.read_text()}[notify]\ncommand = {json.dumps(command)}\n")
    everything = processed()
    glacier.put(everything)
    landsat = {path: body for path, body in everything.items() if path.startswith("landsat/")}
    scene = f"sentinel2/134_Arsuk/clipped/{SCENES[0]}"

    listing = _Listing(access_denied(), op="ListObjectsV2")
    listing.prefix = f"{BASE}/sentinel2/"
    glacier.proxy.faults.append(listing)
    said = glacier.sync("--exclude-downloads", code=1)
    assert glacier.files() == landsat
    assert "sync-from-s3: sentinel2: FAILED list s3://" in said.err
    assert "access denied" in said.err
    assert "sentinel2/\n  not compared; see above\n" in said.out
    assert "landsat: 5 file(s), 22.7 KiB, downloaded; complete" in said.out
    assert "Sync complete" not in said.out
    assert "access denied" in told.read_text()
    assert [p.name for p in glacier.data.iterdir()] == [BASE]

    glacier.proxy.faults.clear()
    glacier.proxy.fault(access_denied(), op="GetObject", key=f"{BASE}/{scene}")
    glacier.proxy.fault(slow_down(), op="GetObject", key="*.csv", times=2)
    said = glacier.sync("--exclude-downloads", code=1)
    assert glacier.files().keys() == everything.keys() - {scene}
    (failed,) = [line for line in said.err.splitlines() if "FAILED" in line]
    assert failed.startswith(f"sync-from-s3: sentinel2: FAILED 134_Arsuk/clipped/{SCENES[0]}: ")
    assert "sentinel2: 5 of 6 file(s)" in said.out
    assert "landsat: nothing downloaded; 5 up to date; complete" in said.out
    assert SCENES[0] in told.read_text()

    glacier.proxy.faults.clear()
    lost = min(landsat)
    (glacier.base / lost).unlink()
    held = lock_folder(glacier.base / "sentinel2")
    assert held is not None
    said = glacier.sync("--exclude-downloads", code=1)
    os.close(held)
    assert "sentinel2: " in said.err
    assert "another run downloads into this folder; wait until it has ended" in said.err
    assert fetched(said) == [lost]

    glacier.sync("--exclude-downloads")
    assert glacier.files() == everything


def test_interrupted_with_another_beside_it(glacier: Glacier) -> None:
    glacier.put(processed())
    last = f"{BASE}/sentinel2/134_Arsuk/template/134_Arsuk.tif"
    glacier.proxy.fault(Delay(300), op="GetObject", key=last)
    with glacier.talk("sentinel2", "--exclude-downloads", command="glacier") as talk:
        talk.expect("5 of 6 files, 34.4 KiB of 50.0 KiB")
        second = glacier.sync("sentinel2", code=1)
        assert f"process {talk.process.pid} on {os.uname().nodename}" in second.err
        assert second.requests == []
        talk.type("\x03")
        said = talk.end(130)
    assert "interrupted; what has arrived stays proven" in said.out
    assert "sentinel2: 5 of 6 file(s)" in said.out
    assert "Sync complete" not in said.out
    assert not list(glacier.base.rglob("134_Arsuk.tif"))

    glacier.proxy.faults.clear()
    again = glacier.sync("sentinel2", "--exclude-downloads")
    assert [f"{BASE}/{path}" for path in fetched(again)] == [last]


def test_keys_that_cannot_be_files_are_refused_by_name(glacier: Glacier) -> None:
    good = f"sentinel2/134_Arsuk/clipped/{SCENES[0]}"
    bad = ["sentinel2/../../escape.tif", "sentinel2//absolute.tif"]
    glacier.put(dict.fromkeys([good, *bad], b"x"))
    said = glacier.sync("sentinel2", code=1)
    assert glacier.files().keys() == {good}
    assert [p.name for p in glacier.data.iterdir()] == [BASE]
    for key in bad:
        assert f"FAILED {key.removeprefix('sentinel2/')}: " in said.err
    assert "sentinel2: 1 file(s), 1 B, downloaded" in said.out
    assert "complete" not in said.out


def test_data_never_enters_a_code_repository(glacier: Glacier) -> None:
    glacier.put(processed())
    (glacier.data / ".git").mkdir()
    for arguments in (["--dry-run"], []):
        said = glacier.sync(*arguments, code=2)
        assert said.err.count("the destination is in the Git work tree") == 2
        assert fetched(said) == []
    assert [p.name for p in glacier.data.iterdir()] == [".git"]


@pytest.mark.parametrize("direction", [[], ["--upload"]])
def test_the_bucket_and_the_profile_are_not_there(glacier: Glacier, direction: list[str]) -> None:
    for path, body in processed().items():
        glacier.place(path, body)
    glacier.configure(
        f'environment = "local"\n[paths]\nlocal_base_dir = "{glacier.data}"\n'
        '[s3]\nbucket = "no-such-bucket-here"\n'
    )
    said = glacier.sync(*direction, "--yes", code=1)
    assert said.err.count("bucket 'no-such-bucket-here' does not exist") == 2
    said = glacier.sync(*direction, "--yes", "--profile", "nobody", code=2)
    assert "'nobody' is not configured" in said.err
