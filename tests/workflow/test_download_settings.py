"""What a download overwrites, what counts as equal, what is selected, and the exit codes of a run
that finds nothing."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from support.downloads import MIB, add_download, fetched, files, put, remove_objects, unfinished
from support.failing import Fleet, Way, failures, fleet, the_failures
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Workflow

DATA, MINE = b"data" * 9, b"mine" * 9
LONGER = b"mine, and longer than the object"
HOUR = 3600


@pytest.fixture
def ships(s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(s3.endpoint_url, Workflow(tmp_path, proxy), bucket) as ships:
        yield ships
    remove_objects(s3, bucket)


def hashed(data: bytes) -> dict[str, Any]:
    """The metadata by which an object tells the SHA-256 of the file it came from."""
    return {"Metadata": {"source-sha256": hashlib.sha256(data).hexdigest()}}


def actions(way: Way) -> dict[str, tuple[str, str]]:
    return {p: (row["status"], row["action"]) for p, row in way.results.all("diff").items()}


def make_all_states(ships: Fleet, s3: S3Server, policy: str) -> Way:
    """A transfer whose files stand in each relation to their objects."""
    way = add_download(ships, s3, policy, {"absent": DATA, "longer": DATA, "md5": DATA},
                       overwrite=policy)  # fmt: skip
    for path in ("same", "other"):
        put(s3, way, path, DATA, **hashed(DATA))
    parts = TransferConfig(multipart_threshold=1, multipart_chunksize=5 * MIB)
    untold = way.folder / "untold"  # nothing that a file could be compared with
    untold.write_bytes(bytes(6 * MIB))
    kms = {"ServerSideEncryption": "aws:kms"}  # so its ETag is no MD5
    s3.client().upload_file(
        str(untold), way.bucket, f"{policy}/untold", ExtraArgs=kms, Config=parts
    )
    for path, data in {"same": DATA, "md5": DATA, "other": MINE, "longer": LONGER}.items():
        way.write(path, data)
        (way.folder / path).chmod(0o640)
    return way


def test_what_may_be_overwritten(ships: Fleet, s3: S3Server) -> None:
    ways = {p: make_all_states(ships, s3, p) for p in ("never", "if-changed", "always")}
    wanted = {**dict.fromkeys(("absent", "same", "md5", "other", "longer"), DATA)}
    wanted["untold"] = bytes(6 * MIB)
    mine = {"longer": LONGER, "other": MINE}

    run = ships.run(code=1)

    why = '; not overwritten (overwrite = "never")'
    the_failures(
        run,
        "never",
        [
            (f"longer: size differs: {len(LONGER)} bytes there{why}",),
            (f"other: SHA-256 differs{why}",),
            (f"untold: the object has no checksum that can be compared{why}",),
        ],
    )
    ways["never"].check_nothing_claimed()
    assert files(ways["never"].folder) == wanted | mine
    assert fetched(ways["never"]) == {"absent": [None]}
    keep, refuse = ("=", "keep"), ("!", "refuse")
    assert actions(ways["never"]) == {
        "absent": ("+", "move"), "same": keep, "md5": keep,
        "other": refuse, "longer": refuse, "untold": refuse,
    }  # fmt: skip
    assert actions(ways["if-changed"]) == {
        "absent": ("+", "move"), "same": keep, "md5": keep,
        "other": ("*", "move"), "longer": ("*", "move"), "untold": ("!", "move"),
    }  # fmt: skip
    assert sorted(fetched(ways["if-changed"])) == ["absent", "longer", "other", "untold"]
    assert sorted(fetched(ways["always"])) == sorted(wanted)
    for policy in ("if-changed", "always"):
        way = ways[policy]
        assert files(way.folder) == wanted
        assert unfinished(way.folder) == []
        assert way.marked() == wanted.keys()
        assert (way.folder / "other").stat().st_mode & 0o777 == 0o640  # as it was

    # Somebody edits files: one that was downloaded, and one that was kept.
    for way in ways.values():
        way.write("absent", MINE)
        way.write("same", MINE)
    ships.mend()
    run = ships.run(code=1)
    assert len(failures(run, "never")) == 5
    assert files(ways["never"].folder) == wanted | mine | {"absent": MINE, "same": MINE}
    assert fetched(ways["never"]) == {}
    for policy in ("if-changed", "always"):
        assert files(ways[policy].folder) == wanted
    assert sorted(fetched(ways["if-changed"])) == ["absent", "same"]

    # Whoever is refused may take what is his away.
    for path in ("absent", "same", "other", "longer", "untold"):
        (ways["never"].folder / path).unlink()
    ships.mend()
    ships.run()
    assert files(ways["never"].folder) == wanted
    assert fetched(ways["if-changed"]) == fetched(ways["always"]) == {}


def test_what_counts_as_equal(ships: Fleet, s3: S3Server) -> None:
    """And that lost results cost no transfer."""
    long_ago = time.time() - 1000 * HOUR
    made = {"Metadata": {"source-mtime": f"{long_ago:.9f}"}}
    for compare in ("size", "mtime", "sha256"):
        way = add_download(ships, s3, compare, {"longer": b"12", "newer": b"2", "older": b"2"},
                           compare=compare)  # fmt: skip
        put(s3, way, "as made", b"2", **made)
        for path, age in (("longer", -HOUR), ("newer", -HOUR), ("older", HOUR), ("as made", 0)):
            way.write(path, b"1")
            when = long_ago + 1 if path == "as made" else time.time() - age
            os.utime(way.folder / path, (when, when))
    everything = {"longer": b"12", "newer": b"2", "older": b"2", "as made": b"2"}
    ships.run()
    moved = {
        "size": ["longer"],
        "mtime": ["longer", "older"],
        "sha256": ["as made", "longer", "newer", "older"],
    }
    for name, way in ships.ways.items():
        assert sorted(fetched(way)) == moved[name]
        assert way.marked() == everything.keys()
        kept = dict.fromkeys(everything.keys() - moved[name], b"1")
        assert files(way.folder) == everything | kept
    # The time an object was made from is asked for only where its own time leaves it open.
    assert ships["size"].proxy.count(op="HeadObject") == 0
    assert ships["mtime"].proxy.count(op="HeadObject") == 2

    before = {name: files(way.folder) for name, way in ships.ways.items()}
    results = ships.workflow.folder / "results"
    results.rename(results.with_name("lost"))
    ships.mend()
    ships.run()
    for name, way in ships.ways.items():
        assert fetched(way) == {}, name
        assert files(way.folder) == before[name]
        assert way.marked() == everything.keys()
        for path, row in way.results.all("markers").items():
            assert int(row["mtime_ns"]) == (way.folder / path).stat().st_mtime_ns
            assert bool(row["sha256"]) == (name == "sha256")  # else nobody looked


def test_what_is_selected(ships: Fleet, s3: S3Server) -> None:
    objects = {
        "a.tif": b"1", "b.txt": b"2", "raw/a.tif": b"3", "raw/deep/b.tif": b"4", "raw/c.tmp": b"5",
        "raw/": b"", "skipped/": b"", "skipped/a.tif": b"6",
    }  # fmt: skip
    some = add_download(ships, s3, "some", objects, include=["*.tif"], exclude=["deep/", "skipped"])
    held = add_download(ships, s3, "held", young := {"young": b"1"}, settle=HOUR)
    empty = add_download(ships, s3, "empty", {})
    none = add_download(ships, s3, "none", objects, include=["*.h5ad"])
    run = ships.run(code=3)
    assert files(some.folder) == {"a.tif": b"1", "raw/a.tif": b"3"}
    assert not (some.folder / "skipped").exists()
    assert failures(run, "empty") == failures(run, "none") == []
    for name, more in (
        ("empty", ""),
        ("none", ': 8 files there, none matches include = ["*.h5ad"]'),
    ):
        url = f"s3://{ships.bucket}/{name}/"
        assert f"waybill: {name}: nothing to download in {url}{more}" in run.lines
    assert [line for line in run.lines if line.startswith("waybill: held: 1 held back: ")]
    for way in (held, empty, none):
        way.check_nothing_claimed()
        assert files(way.folder) == {}
        assert fetched(way) == {}
    # What is only held back is no failure; and what is local counts for nothing.
    ships.settings["held"]["settle"] = 0
    put(s3, empty, "late", b"1")
    empty.write("mine", b"2")
    run = ships.run(config="transfers=held,empty")
    assert files(held.folder) == young
    assert files(empty.folder) == {"late": b"1", "mine": b"2"}
    assert "waybill: empty: 1 only at the destination; nothing is deleted" in run.lines
