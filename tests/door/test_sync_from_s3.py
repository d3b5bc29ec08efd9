"""``sync-from-s3`` at work: dry run, safe mode, force mode, regions, upload."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from glaciers import BASE, LANDSAT, LAUNCHER, SCENES, Glacier, content, fetched, is_tile, tree


def snapshot(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Everything in the folders: mode and mtime of each file and folder by path."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return {path: (s.st_mode, s.st_mtime_ns) for path in paths if (s := path.lstat())}


def listed(out: str) -> list[str]:
    """The paths of the plan tables."""
    return re.findall(r"^  (\S+/\S+) +[\d,.]+ [KMG]?i?B  \w+", out, re.MULTILINE)


@pytest.mark.parametrize("layout", ["old", "new"])
def test_from_a_dry_run_to_everything(glacier: Glacier, tmp_path: Path, layout: str) -> None:
    everything = tree(layout)
    processed = {path: body for path, body in everything.items() if not is_tile(path)}
    assert (len(everything), len(processed)) == (13, 11)
    glacier.put(everything)
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    # A dry run shows all and leaves nothing, not even a folder.
    before = snapshot(glacier.home, glacier.data, temporary)
    dry = glacier.sync("--exclude-downloads", "--dry-run", TMPDIR=str(temporary))
    assert snapshot(glacier.home, glacier.data, temporary).keys() == before.keys()
    assert snapshot(glacier.data) == {glacier.data: before[glacier.data]}
    assert {r.op for r in dry.requests} == {"ListObjectsV2"}
    assert sorted(listed(dry.out)) == sorted(path.partition("/")[2] for path in processed)
    for line in (
        f"Reading configuration from: {glacier.project}/config.toml",
        f"Working in data directory: {glacier.data} (local: as set)",
        "DRY RUN MODE - No files will be downloaded",
        "EXCLUDING download/ folders - Only processed results will be synced",
        "SAFE MODE - What is there already will not be touched",
        f"From: s3://{glacier.bucket}/{BASE}/sentinel2/",
        f"To:   {glacier.base}/landsat/",
        "Dry run: nothing downloaded",
    ):
        assert f"\n{line}\n" in f"\n{dry.out}"
    assert "\r" not in dry.all, "progress off a terminal"

    # Two satellites are both; without a terminal nothing is asked.
    said = glacier.sync("landsat", "sentinel2", "--exclude-downloads")
    assert fetched(said) == sorted(processed)
    assert glacier.files() == processed
    assert "sentinel2: 6 file(s), 50.0 KiB, downloaded; complete" in said.out
    assert "landsat: 5 file(s), 22.7 KiB, downloaded; complete" in said.out
    for path in processed:
        head = glacier.proxy.client().head_object(Bucket=glacier.bucket, Key=f"{BASE}/{path}")
        assert (glacier.base / path).stat().st_mtime == head["LastModified"].timestamp()

    # Again: nothing to do. Then the raw tiles too.
    idle = glacier.sync("--exclude-downloads")
    assert {r.op for r in idle.requests} == {"ListObjectsV2"}
    assert "sentinel2: nothing downloaded; 6 up to date; complete" in idle.out
    assert idle.out.endswith("Sync complete\n")
    said = glacier.sync("all")
    assert fetched(said) == sorted(filter(is_tile, everything))
    assert glacier.files() == everything


def test_safe_mode_touches_nothing_and_force_mode_finds_all(glacier: Glacier) -> None:
    everything = {path: body for path, body in tree("old").items() if "sentinel2" in path}
    glacier.put(everything)
    first, second, third, fourth, fifth, *_ = sorted(everything)
    long_ago = time.time() - 10 * 86400
    mine = {
        first: everything[first],  # a copy of the same bytes, with a time of its own
        second: bytes(len(everything[second])),  # same size, edited here
        third: everything[third][:-7],  # cut off
        fourth: everything[fourth] + b"edited by a user",
        "sentinel2/134_Arsuk/notes.txt": b"only here",
    }
    for path, body in mine.items():
        os.utime(glacier.place(path, body), (long_ago, long_ago))
    before = snapshot(*(glacier.base / path for path in mine))

    dry = glacier.sync("sentinel2", "--dry-run", code=1)
    said = glacier.sync("sentinel2", code=1)
    for out in (dry.out, said.out):
        assert "refused: size differs: " in out
        assert "2 up to date, 2 not to be touched, 1 only in the folder, kept" in out
    different = [line for line in said.err.splitlines() if "FAILED" in line]
    assert [line.split(": ")[2] for line in different] == [
        f"FAILED {path.removeprefix('sentinel2/')}" for path in (third, fourth)
    ]
    assert "not overwritten" in said.err
    assert "2 different or refused, not touched" in said.out
    assert "--force-overwrite replaces what differs" in said.out
    assert snapshot(*(glacier.base / path for path in mine)) == before
    assert fetched(said) == sorted(set(everything) - set(mine))
    assert glacier.files() == everything | mine

    # An object that is written anew at the same size: the case that force mode is for.
    new = {fifth: everything[fifth][::-1]}
    glacier.put(new)
    safe = glacier.sync("sentinel2", code=1)
    assert fetched(safe) == []
    assert glacier.files() == everything | mine

    dry = glacier.sync("sentinel2", "--force-overwrite", "--dry-run")
    changed = sorted([second, third, fourth, fifth])
    assert sorted(f"sentinel2/{path}" for path in listed(dry.out)) == changed
    assert glacier.files() == everything | mine
    forced = glacier.sync("sentinel2", "--force-overwrite")
    assert fetched(forced) == changed
    kept = {"sentinel2/134_Arsuk/notes.txt": b"only here"}
    assert glacier.files() == everything | new | kept
    assert (glacier.base / first).stat().st_mtime == pytest.approx(long_ago)

    # What is known is not fetched again, nor asked for, whatever the mode.
    for arguments in (["--force-overwrite"], ["--force-overwrite", "--dry-run"], []):
        again = glacier.sync("sentinel2", *arguments)
        assert {r.op for r in again.requests} == {"ListObjectsV2"}


def test_regions_in_both_layouts(glacier: Glacier) -> None:
    names = ("134_Arsuk", "138_SermiitsiaqInTasermiut", "191_Hagen_Brae")
    trees = {name: tree("old", name) | tree("new", name) for name in names}
    glacier.put({path: body for each in trees.values() for path, body in each.items()})
    said = glacier.sync("--regions", "191_*", "--regions", "134_Arsuk", "--jobs", "3")
    wanted = trees["134_Arsuk"] | trees["191_Hagen_Brae"]
    of_no_region = {path for path in wanted if path.startswith("sentinel2/download/")}
    assert of_no_region
    assert glacier.files().keys() == wanted.keys() - of_no_region
    assert "REGIONS 191_*, 134_Arsuk - Only these" in said.out
    assert "a download/ at the top belongs to no region" in said.out

    # What is not there is named, and what is there comes all the same.
    said = glacier.sync("--exclude-downloads", "--regions", "13*,999_Nowhere", code=3)
    assert said.err == "sync-from-s3: no files of region 999_Nowhere\n"
    assert "138_SermiitsiaqInTasermiut/clipped/" in said.out
    assert all("138_" in path and not is_tile(path) for path in fetched(said))
    assert len(fetched(said)) == 2 * 6 + 5


def test_a_satellite_without_files(glacier: Glacier) -> None:
    glacier.put({f"sentinel2/{SCENES[0]}": b"x"})
    said = glacier.sync("--dry-run")  # what there is: that is everything
    assert "landsat/\n  no files\n" in said.out
    assert glacier.sync("landsat", code=3).out.endswith("no files\n")
    glacier.sync("sentinel2", "landsat", "--dry-run", code=3)
    glacier.sync("--dry-run", "--regions", "134_Arsuk", code=3)
    assert glacier.files() == {}


def test_upload(glacier: Glacier) -> None:
    mine = tree("old")
    for path, body in mine.items():
        glacier.place(path, body)
    theirs = {f"landsat/134_Arsuk/{LANDSAT[0]}": b"another size"}
    glacier.put(theirs)

    dry = glacier.sync("--upload", "--dry-run", "--exclude-downloads", code=1)
    assert {r.method for r in dry.requests} <= {"GET", "HEAD"}
    assert len(listed(dry.out)) == 10
    cron = glacier.sync("--upload", "--exclude-downloads", code=2)
    assert "no terminal to ask on: add --yes; nothing uploaded" in cron.err
    urls = [f"s3://{glacier.bucket}/{BASE}/{name}/" for name in ("sentinel2", "landsat")]
    question = f"Upload 10 file(s) to {' and '.join(urls)}? [y/N] "
    with glacier.talk("--upload", "--exclude-downloads", command="glacier") as talk:
        talk.expect(question)
        second = glacier.sync("--upload", "--yes", code=1)
        assert f"process {talk.process.pid} on {os.uname().nodename}" in second.err
        talk.type("n\n")
        assert talk.end(0).out.rstrip().endswith("nothing uploaded")
    assert glacier.keys() == [f"{BASE}/{path}" for path in theirs]

    with glacier.talk("--upload", "--exclude-downloads", command="glacier") as talk:
        talk.expect(question)
        talk.type("y\n")
        said = talk.end(1)
    assert "sentinel2: 6 file(s), 50.0 KiB, uploaded; complete" in said.out
    assert re.search(rf"FAILED 134_Arsuk/{LANDSAT[0]}: size differs: .*not overwritten", said.out)
    for path, body in (mine | theirs).items():
        if not is_tile(path):
            assert glacier.body(f"{BASE}/{path}") == body
    # Beside the satellites, where a sync of them does not see it.
    (manifest,) = glacier.keys("manifest")
    assert re.fullmatch(rf"{BASE}/manifests/manifest-[\d-]+\.json", manifest)
    assert len(json.loads(glacier.body(manifest))["files"]) == 6

    said = glacier.sync("--upload", "--force-overwrite", "--yes", "--exclude-downloads")
    assert said.puts(f"{BASE}/landsat/*") == [f"{BASE}/{path}" for path in theirs]
    # And back into another folder: the round trip.
    tiles = {path for path in mine if is_tile(path)}
    for path in mine:
        (glacier.base / path).unlink()
    glacier.sync()
    assert glacier.files() == {path: body for path, body in mine.items() if path not in tiles}


def test_a_link_from_the_data_folder_with_the_ini_of_the_project(glacier: Glacier) -> None:
    """The way of the seed, in a folder whose path it could not read, from a file with CRLF; the
    bucket is the project's own, here on this machine."""
    glacier.proxy.straight().create_bucket(Bucket="greenland-glacier-data")
    path = f"sentinel2/134_Arsuk/clipped/{SCENES[0]}"
    glacier.put({path: content(path, 2000)}, bucket="greenland-glacier-data")
    glacier.data = glacier.data / "run = 7 $x"
    glacier.data.mkdir()
    (glacier.project / "config.toml").unlink()
    (glacier.project / "config.ini").write_bytes(
        f"[PATHS]\r\nbase_dir = /no/hpc\r\nlocal_base_dir = {glacier.data}\r\n".replace(
            "$", "$$"
        ).encode()
    )
    (glacier.project / "sync_from_s3.sh").symlink_to(LAUNCHER)
    link = glacier.data / "sync_from_s3.sh"
    link.symlink_to(glacier.project / "sync_from_s3.sh")
    options = ("--exclude-downloads", "--environment", "local")
    said = glacier.launch(link, *options, cwd=glacier.home, code=0)
    assert glacier.files() == {path: content(path, 2000)}
    assert f"Reading configuration from: {glacier.project}/config.ini" in said.out
    assert all("/us-west-2/s3/" in r.headers["authorization"] for r in said.requests)
