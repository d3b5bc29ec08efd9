"""``hca-smart-sync`` at work: plan, question, upload, manifest."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from doors import Door

PREFIX = "gut/gut-v1/source-datasets/"
NAMES = ["sample1.h5ad", "sample2.h5ad", "sample10.h5ad"]
KEYS = sorted(PREFIX + name for name in NAMES)
MANIFEST = r"manifest-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{3}\.json"


def fill(door: Door) -> None:
    """Three datasets, and what is none: another ending, a nested one, another case."""
    for number, name in enumerate(NAMES, start=1):
        door.write(name, 700_000 * number)
    for other in ("notes.txt", "SAMPLE3.H5AD", "nested/sample4.h5ad", "sample5.h5ad.gz"):
        door.write(other)
    (door.data / "nested" / "loop").symlink_to("..")


def listed(out: str) -> list[list[str]]:
    """The rows of a plan table: file, size, reason, SHA-256."""
    rows = (line.strip() for line in out.splitlines() if re.search(r"  [0-9a-f]{16}$", line))
    return [re.split("  +", row) for row in rows]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_from_a_dry_run_to_force(door: Door) -> None:
    fill(door)
    before = sorted(p.name for p in door.data.iterdir())

    # A dry run in the form of the guide: the plan, and nothing written anywhere.
    dry = door.run("gut-v1", "--dry-run", "--local-path", str(door.data), cwd=door.home)
    assert {r.method for r in dry.requests} <= {"GET", "HEAD"}
    rows = listed(dry.out)
    assert [row[0] for row in rows] == NAMES, "not in natural order"
    assert [row[1] for row in rows] == ["683.6 KiB", "1.3 MiB", "2.0 MiB"]
    assert {row[2] for row in rows} == {"new"}
    assert [row[3] for row in rows] == [sha256(door.data / name)[:16] for name in NAMES]
    assert re.search(r"^3 file\(s\) +4\.0 MiB$", dry.out, re.MULTILINE)
    assert "nothing uploaded" in dry.out
    assert "\r" not in dry.all, "progress off a terminal"

    # Without a terminal nobody can say yes.
    cron = door.run("gut-v1", code=2)
    assert "no terminal" in cron.err
    assert "--yes" in cron.err
    assert "--force" in cron.err

    # A no.
    with door.talk("gut-v1") as talk:
        talk.expect(f"Upload 3 file(s) to s3://{door.bucket}/{PREFIX}? [y/N] ")
        talk.type("n\n")
        assert talk.end(0).out.rstrip().endswith("nothing uploaded")
    assert door.keys() == []
    assert sorted(p.name for p in door.data.iterdir()) == before

    # A yes, in the later form.
    with door.talk("sync", "gut-v1", "source-datasets") as talk:
        talk.expect("[y/N] ")
        talk.type("y\n")
        said = talk.end(0)
    assert said.puts() == KEYS
    assert "Uploaded 3 file(s)" in said.out
    check_bucket_and_manifest(door)

    # All is there: nothing is asked and nothing is written.
    idle = door.run("sync", "gut-v1", "source-datasets", "--verbose")
    assert "Found 3 .h5ad file(s) - all up to date" in idle.out
    assert [r.op for r in idle.requests] == ["ListObjectsV2", "HeadObject"]
    assert re.findall("^up to date (.*)", idle.out, re.MULTILINE) == NAMES

    # By force, without a question, each time all.
    dry = door.run("gut-v1", "--force", "--dry-run")
    assert [row[2] for row in listed(dry.out)] == ["forced"] * 3
    assert {r.method for r in dry.requests} <= {"GET", "HEAD"}
    for _ in range(2):
        forced = door.run("gut-v1", "--force")
        assert [row[2] for row in listed(forced.out)] == ["forced"] * 3
        assert forced.puts() == KEYS
        assert "Uploaded 3 file(s)" in forced.out

    # After that as before: nothing is sent, nor sent and refused.
    after = door.run("gut-v1")
    assert "all up to date" in after.out
    assert after.puts() == []


def check_bucket_and_manifest(door: Door) -> None:
    assert door.keys(r"\.h5ad") == KEYS
    for name in NAMES:
        assert door.body(PREFIX + name) == (door.data / name).read_bytes()
    (key,) = door.keys("manifest")
    assert re.fullmatch(f"gut/gut-v1/manifests/{MANIFEST}", key)
    copy = door.data / key.rpartition("/")[2]
    assert copy.read_bytes() == door.body(key), "no copy of the manifest beside the data"

    manifest = json.loads(door.body(key))
    assert set(manifest) == {
        "manifest_version", "generated_at", "submission_id", "files", "metadata", "submitter",
    }  # fmt: skip
    assert manifest["metadata"]["upload_destination"] == f"s3://{door.bucket}/{PREFIX}"
    assert manifest["metadata"]["tool"] == "hca-smart-sync"
    now = datetime.now(UTC)
    for stamp in (manifest["generated_at"], manifest["metadata"]["upload_timestamp"]):
        assert abs((now - datetime.fromisoformat(stamp)).total_seconds()) < 600
    assert [file["filename"] for file in manifest["files"]] == NAMES
    for file in manifest["files"]:
        path = door.data / file["filename"]
        head = door.proxy.client().head_object(Bucket=door.bucket, Key=file["key"])
        assert file["path"] == str(path)
        assert file["size_bytes"] == path.stat().st_size == head["ContentLength"]
        assert file["sha256"] == sha256(path) == head["Metadata"]["source-sha256"]
        assert file["etag"] == head["ETag"].strip('"')
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        for field in ("modified_at", "last_modified"):
            assert abs((modified - datetime.fromisoformat(file[field])).total_seconds()) < 0.01


def test_what_changes_is_what_moves(door: Door) -> None:
    fill(door)
    door.run("gut-v1", "--yes")
    door.write("sample2.h5ad", 1_500_000)
    door.write("sample3.h5ad", 3_000)
    # Times that say nothing changed do not hide it, nor does a lying ending of the folder's name.
    with door.talk("gut-v1", "--local-path", f"{door.data}/../data/") as talk:
        shown = talk.expect("[y/N] ")
        assert [[row[0], row[2]] for row in listed(shown)] == [
            ["sample2.h5ad", "changed"],
            ["sample3.h5ad", "new"],
        ]
        assert "2 up to date" in shown

        # What happens while the question waits: it is not part of the answer.
        door.write("sample11.h5ad")
        door.write("sample3.h5ad", 4_000)
        talk.type("yes\n")
        said = talk.end(1)
    assert said.puts() == [PREFIX + "sample2.h5ad"]
    assert re.search("FAILED sample3.h5ad: .*run again", said.out)
    assert "sample11" not in said.out
    assert "Uploaded 1 of 2 file(s)" in said.out
    assert len(door.manifests()) == 1, "a manifest although a file failed"

    again = door.run("gut-v1", "--yes")
    assert again.puts() == [PREFIX + "sample11.h5ad", PREFIX + "sample3.h5ad"]
    last = door.manifests()[-1]
    assert [f["filename"] for f in last["files"]] == [
        "sample1.h5ad", "sample2.h5ad", "sample3.h5ad", "sample10.h5ad", "sample11.h5ad",
    ]  # fmt: skip


def test_no_files(door: Door) -> None:
    door.write("notes.txt")
    none = door.run("gut-v1", code=3)
    assert f"No .h5ad files found in {door.data}" in none.err
    assert door.keys() == []
