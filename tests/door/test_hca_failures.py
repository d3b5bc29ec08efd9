"""``hca-smart-sync`` when something goes wrong."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from doors import Door

from support.proxy import Call, Delay, Request, access_denied, no_such_bucket
from support.server import ACCESS_KEY, SECRET_KEY

PREFIX = "gut/gut-v1/source-datasets/"


def three(door: Door) -> None:
    for name in ("a.h5ad", "b.h5ad", "c.h5ad"):
        door.write(name)


def test_a_file_fails_then_the_manifest_then_nothing(door: Door) -> None:
    three(door)
    door.proxy.fault(access_denied(), op="PutObject", key="*/b.h5ad")
    said = door.run("gut-v1", "--yes", code=1)
    assert door.keys() == [PREFIX + "a.h5ad", PREFIX + "c.h5ad"]
    assert "Uploaded 2 of 3 file(s)" in said.out
    failed = [line for line in said.err.splitlines() if "FAILED" in line]
    assert len(failed) == 1
    assert failed[0].startswith("hca-smart-sync: FAILED b.h5ad: ")
    assert "access denied" in failed[0]
    assert door.manifests() == [], "a manifest without one of its files"
    assert list(door.data.glob("manifest*")) == []

    door.proxy.faults.clear()
    door.proxy.fault(access_denied(), op="PutObject", key="*/manifests/*")
    said = door.run("gut-v1", "--yes", code=1)
    assert said.puts() == [PREFIX + "b.h5ad"]
    assert "manifests/manifest-" in said.err
    assert door.manifests() == []

    door.proxy.faults.clear()
    said = door.run("gut-v1")  # no terminal and no --yes: no data moves, so nothing is asked
    assert "Found 3 .h5ad file(s) - all up to date" in said.out
    assert said.puts() == []
    (manifest,) = door.manifests()
    assert [f["filename"] for f in manifest["files"]] == ["a.h5ad", "b.h5ad", "c.h5ad"]
    assert len(list(door.data.glob("manifest-*.json"))) == 1


def test_entries_that_cannot_be_uploaded_do_not_stop_the_others(door: Door) -> None:
    three(door)
    (door.data / "gone.h5ad").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(door.data) + b"/\xff.h5ad")).write_bytes(b"x")
    (door.data / "a\x1b[31m\u202e\\\n.h5ad").write_bytes(b"x")
    dry = door.run("gut-v1", "--dry-run", code=1)
    assert "2 cannot be uploaded" in dry.out
    assert re.search(r"^a\\x1b\[31m\\u202e\\\\\\n\.h5ad  ", dry.out, re.MULTILINE)
    assert "\x1b" not in dry.all
    said = door.run("gut-v1", "--yes", code=1)
    assert "FAILED gone.h5ad: " in said.err
    assert r"FAILED \xff.h5ad: " in said.err
    assert "Uploaded 4 file(s)" in said.out
    assert len(door.manifests()[0]["files"]) == 4
    again = door.run("gut-v1", code=1)
    assert "FAILED gone.h5ad: " in again.err
    assert again.puts() == []


def test_the_bucket_says_no(door: Door) -> None:
    three(door)
    door.proxy.fault(no_such_bucket(door.bucket))
    said = door.run("gut-v1", "--force", code=1)
    assert len(said.err.splitlines()) == 1
    assert f"bucket '{door.bucket}' does not exist" in said.err
    said = door.run("gut-v1", "--profile", "nobody", code=2)
    assert len(said.err.splitlines()) == 1
    assert "'nobody' is not configured" in said.err


def test_debug_tells_all_but_secrets(door: Door) -> None:
    three(door)
    said = door.run(
        "gut-v1-1", "integrated-objects", "--yes", "--environment", "dev", HCA_DEBUG="1"
    )
    assert "snakemake.log" in said.err
    assert "Finished jobid" in said.err
    assert len(re.findall(r"INFO waybill\.stages\.move: moved 1 files", said.err)) == 3
    (state,) = door.states()
    assert re.fullmatch("gut-v1-1-integrated-objects-dev-[0-9a-f]{12}", state.name)
    assert list(state.glob("results/hca/logs/upload/*/*.log"))
    files = [p for top in (door.home, door.data) for p in top.rglob("*") if p.is_file()]
    for text in (said.all.encode(), *(p.read_bytes() for p in files)):
        assert SECRET_KEY.encode() not in text
        assert ACCESS_KEY.encode() not in text

    # A revision and the other folder have places of their own.
    keys = [f"gut/gut-v1-1/integrated-objects/{name}.h5ad" for name in "abc"]
    assert door.keys(r"\.h5ad") == keys
    assert door.keys("manifest")[0].startswith("gut/gut-v1-1/manifests/manifest-")


def test_interrupted_while_uploading(door: Door) -> None:
    for name in ("a.h5ad", "b.h5ad", "c.h5ad"):
        door.write(name, 2_000_000)
    first: list[float] = []

    def begun(_request: Request) -> None:
        first.append(time.monotonic())

    door.proxy.fault(Call(begun), op="PutObject", times=1)
    door.proxy.fault(Delay(300), op="PutObject", key="*/c.h5ad")
    with door.talk("gut-v1", "--force") as talk:
        talk.expect("2 of 3 files, ")
        talk.type("\x03")
        asked = time.monotonic()
        said = talk.end(130)
    assert first
    assert time.monotonic() - asked < 60
    assert "interrupted" in said.out
    assert "Uploaded 2 of 3 file(s)" in said.out
    (state,) = door.states()
    assert not [p for p in _command_lines() if str(state).encode() in p], "jobs are left"
    marked = {path.name[:8] for path in state.glob("results/hca/markers/*/*.tsv")}
    assert marked <= {"f.a.h5ad", "f.b.h5ad"}  # each file is a batch
    assert door.manifests() == []

    door.proxy.faults.clear()
    said = door.run("gut-v1", "--yes")
    assert said.puts() == [PREFIX + "c.h5ad"]
    assert len(door.manifests()[-1]["files"]) == 3


def _command_lines() -> list[bytes]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes())
        except OSError:
            continue
    return found


def test_two_at_once(door: Door) -> None:
    three(door)
    with door.talk("gut-v1") as talk:
        talk.expect("[y/N] ")
        second = door.run("gut-v1", "--yes", code=1)
        assert f"process {talk.process.pid} on {os.uname().nodename}" in second.err
        assert second.requests == []
        talk.type("\x03")
        talk.end(130)
    assert door.keys() == []
