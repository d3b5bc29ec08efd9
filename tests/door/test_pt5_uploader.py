"""``pt5-uploader`` at work: what is taken, what waits, what fails, what a user sees."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cytobots import Cytobot, cytobot
from doors import Spoken

from support.ifcb import NEW, OLD, bin_files, placed
from support.proxy import (
    Proxy,
    access_denied,
    expired_token,
    invalid_access_key,
    signature_mismatch,
    slow_down,
)
from support.server import SECRET_KEY

EMPTY = "IFCB1_2009_216_075913"
BARE = "D20141117T001645_IFCB101"  # without .roi
HALF = "D20141117T003645_IFCB101"

GREEN, RED = "\x1b[32m", "\x1b[31m"


@pytest.fixture
def pt5(tmp_path: Path, bucket: str, proxy: Proxy) -> Cytobot:
    return cytobot(tmp_path, bucket, proxy)


def snapshot(folder: Path) -> dict[Path, int]:
    """Everything in the folder, with its mtime."""
    return {path: path.lstat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def labelled(said: Spoken) -> dict[str, str]:
    """The summary."""
    return dict(re.findall(r"^([A-Z][\w/ ]+): (.+)$", said.out, re.MULTILINE))


def sent(said: Spoken, bucket: str) -> list[str]:
    """The keys of data that were written."""
    puts = [r for r in said.requests if r.matches("PUT", "PutObject", "*") and r.bucket == bucket]
    return sorted(r.key for r in puts if "manifests/" not in r.key)


def test_no_arguments_from_a_dry_run_to_nothing_new(pt5: Cytobot) -> None:
    """All that is needed stands in .env, above the working folder."""
    pt5.dot_env(AWS_UPLOAD_URL=f"s3://{pt5.bucket}/deployment 7/", IFCB_DATA_DIR=str(pt5.data))
    work = pt5.home / "work"
    work.mkdir()
    whole = bin_files(NEW) | bin_files(OLD) | bin_files(BARE)
    whole |= {f"{EMPTY}.adc": b"", f"{EMPTY}.hdr": b'"x"\n', f"{EMPTY}.roi": b"\0\0"}
    del whole[f"{BARE}.roi"]
    half = bin_files(HALF)
    half[f"{HALF}.roi"] = half[f"{HALF}.roi"][:1000]
    pt5.place(whole | half | {".DS_Store": b"x", f"nested/{NEW}.adc": b"x"})
    (pt5.data / "latest").symlink_to("nowhere")
    waits = f"held back: bin {HALF}: .roi has 1000 bytes, its images 4624\n"

    before = snapshot(pt5.home.parent)
    dry = pt5.upload("--dry-run", cwd=work)
    assert snapshot(pt5.home.parent) == before
    assert {r.op for r in dry.requests} == {"ListObjectsV2"}
    url = f"s3://{pt5.bucket}/deployment 7"
    listed = [line for line in dry.out.splitlines() if " -> " in line]
    assert sorted(listed) == [f"{pt5.data}/{path} -> {url}/{path}" for path in sorted(whole)]
    assert dry.err == f"pt5-uploader: {waits}"
    assert "2 file(s) skipped: not part of a bin; --all-files takes them" in dry.out

    said = pt5.upload(cwd=work)
    keys = {f"deployment 7/{path}": body for path, body in whole.items()}
    assert pt5.objects() == keys
    size = sum(map(len, whole.values()))
    found = labelled(said)
    assert list(found)[:5] == [
        "Total Files", "Total Size", "Duration", "Average Rate", "Files/Second",
    ]  # fmt: skip
    assert "Upload Summary Report:\nTotal Files: " in said.out
    assert (found["Total Files"], found["Held Back"]) == (str(len(whole)), "3")
    assert found["Total Size"] == f"{size / 1024:.2f} KB"
    for label, unit in (
        ("Duration", " seconds"),
        ("Average Rate", " [KM]?B/s"),
        ("Files/Second", ""),
    ):
        assert re.fullmatch(rf"\d+\.\d\d{unit}", found[label]), found[label]
    assert waits in said.err
    (log,) = pt5.home.glob(".local/state/waybill/pt5/*/snakemake.log")
    assert f"\nwaybill: ifcb: 3 {waits}" in log.read_text(), "the workflow names it too"
    assert SECRET_KEY not in log.read_text()
    assert SECRET_KEY not in said.all
    assert not re.search(r"\x1b|\r", said.all), "colour or progress off a terminal"
    (manifest,) = pt5.keys("/manifests/")
    assert len(json.loads(pt5.body(manifest))["files"]) == len(whole)

    # The instrument goes on; another file is changed at the same size.
    changed = {f"{OLD}.roi": bin_files(OLD, version=2)[f"{OLD}.roi"]}
    assert len(changed[f"{OLD}.roi"]) == len(whole[f"{OLD}.roi"])
    pt5.place(bin_files(HALF) | changed)
    said = pt5.upload(cwd=work)
    new = bin_files(HALF) | changed
    assert sent(said, pt5.bucket) == sorted(f"deployment 7/{path}" for path in new)
    assert pt5.objects() == keys | {f"deployment 7/{path}": body for path, body in new.items()}
    found = labelled(said)
    assert (found["Total Files"], found["Up To Date"]) == ("4", str(len(whole) - 1))
    assert "Held Back" not in found

    # And a dry run after it asks for nothing and would do nothing.
    idle = pt5.upload("--dry-run", cwd=work)
    assert {r.op for r in idle.requests} == {"ListObjectsV2"}
    assert f"would upload 0 file(s), 0.00 B, to {url}/; {len(whole) + 3} up to date" in idle.out


def test_another_bucket_on_a_terminal(pt5: Cytobot, s3) -> None:
    """Nothing goes below the prefix that is meant for the bucket of the environment."""
    other = s3.make_bucket(f"{pt5.bucket}-other")
    pt5.variables = {"AWS_UPLOAD_URL": f"s3://{pt5.bucket}/deployment"}
    data = placed(NEW) | placed(OLD) | {f"beads/{NEW}.hdr": b"x"}
    half = next(path for path in placed(BARE) if path.endswith(".hdr"))
    pt5.place(data | {half: b"x"})
    arguments = ("--bucket", other, "--recursive", "--source", str(pt5.data))
    with pt5.talk(*arguments, command="pt5", cwd=pt5.home) as talk:
        said = talk.end(0)
    data.pop(f"beads/{NEW}.hdr")
    assert pt5.objects(other) == data
    assert pt5.objects() == {}
    assert f"{GREEN}All but what waits is proven in s3://{other}/" in said.out
    waits = f"\x1b[33mpt5-uploader: held back: bin {half[:-4]}: no .adc yet\x1b[0m"
    assert waits in said.out
    assert "Looking at both sides" in said.out
    assert "1 file(s) skipped: in a folder beads" in said.out

    # Its own prefix where it is the same bucket, and no colour for who wants none.
    with pt5.talk(
        "--validate", "--bucket", pt5.bucket, command="pt5", cwd=pt5.home, NO_COLOR="1"
    ) as talk:
        said = talk.end(0)
    assert said.out == f"AWS credentials are valid; s3://{pt5.bucket}/deployment/ can be listed\n"


def test_what_fails_is_named_and_not_counted(pt5: Cytobot) -> None:
    pt5.place(placed(NEW) | placed(OLD))
    failing, busy = (next(p for p in placed(n) if p.endswith(".roi")) for n in (NEW, OLD))
    pt5.proxy.fault(access_denied(), op="PutObject", key=f"*{failing}")
    pt5.proxy.fault(slow_down(), op="PutObject", key=f"*{busy}", times=2)
    arguments = ("--recursive", "--source", str(pt5.data), "--bucket", pt5.bucket)
    said = pt5.upload(*arguments, code=1)
    there = {path: body for path, body in (placed(NEW) | placed(OLD)).items() if path != failing}
    assert pt5.objects() == there
    found = labelled(said)
    assert (found["Total Files"], found["Failed"]) == ("5", "1")
    assert found["Total Size"] == f"{sum(map(len, there.values())) / 1024:.2f} KB"
    (line,) = [line for line in said.err.splitlines() if "FAILED" in line]
    assert line.startswith(f"pt5-uploader: FAILED {failing}: ")
    assert "access denied" in line
    assert "proven" not in said.out
    assert pt5.keys("manifests/") == []

    pt5.proxy.faults.clear()
    (pt5.data / busy).unlink()  # it has arrived: that it is gone here is no failure
    said = pt5.upload(*arguments, "--verbose")
    assert sent(said, pt5.bucket) == [failing]
    assert f"{pt5.data}/{failing} -> s3://{pt5.bucket}/{failing}" in said.out
    assert labelled(said)["Total Files"] == "1"
    assert pt5.objects() == placed(NEW) | placed(OLD)


def test_all_files_as_they_are(pt5: Cytobot) -> None:
    """What the seed took, each time, below a prefix that is written with slashes around it."""
    files = {
        **{path: body for path, body in bin_files(NEW).items() if not path.endswith(".hdr")},
        f"{OLD}.roi": b"",
        ".DS_Store": b"x",
        ".hidden/notes *.txt": b"y",
        f"beads/{OLD}.hdr": b"z",
    }
    pt5.place(files)
    (pt5.data / "latest").symlink_to(".DS_Store")
    files["latest"] = b"x"
    pt5.variables = {"IFCB_DATA_DIR": str(pt5.data), "AWS_UPLOAD_URL": f"s3://{pt5.bucket}/env"}
    arguments = ("--all-files", "--recursive", "--prefix", "/lead/")
    keys = sorted(f"lead/{path}" for path in files)
    for _ in range(2):
        dry = pt5.upload(*arguments, "--dry-run")
        assert f"would upload {len(files)} file(s)" in dry.out
        said = pt5.upload(*arguments)
        assert said.err == ""
        assert sent(said, pt5.bucket) == keys
        assert labelled(said)["Total Files"] == str(len(files))
        assert pt5.objects() == {f"lead/{path}": body for path, body in files.items()}
        assert len(pt5.keys("manifests/")) == 1  # a second one would list the same
        journals = pt5.home.glob(".local/state/waybill/pt5/*/results/*/journal/*/*.jsonl")
        assert sum(path.read_text().count('"done"') for path in journals) == len(files)
    # A file that fails this time is not "up to date" because it was there, nor because the run
    # before, in which another failed, has sent it; then all of it goes.
    for failing in (f"{OLD}.roi", "latest"):
        fault = pt5.proxy.fault(access_denied(), op="PutObject", key=f"*/{failing}")
        found = labelled(pt5.upload(*arguments, code=1))
        assert fault.hits == 1
        assert (found["Total Files"], found["Failed"]) == (str(len(files) - 1), "1")
        assert "Up To Date" not in found
        pt5.proxy.faults.clear()
    assert "Failed" not in labelled(pt5.upload(*arguments))
    assert pt5.objects() == {f"lead/{path}": body for path, body in files.items()}
    # One file, by itself and as it is.
    name = ".hidden/notes *.txt"
    pt5.place({".hidden/notes 2.txt": b"no"})
    pt5.upload("--source", str(pt5.data / name), "--prefix", "one", "--no-manifest")
    assert pt5.objects().keys() - {f"lead/{p}" for p in files} == {"one/notes *.txt"}
    assert len(pt5.keys("manifests/")) == 1


def test_what_cannot_be_done(pt5: Cytobot) -> None:
    arguments = ("--source", str(pt5.data), "--bucket", pt5.bucket)
    pt5.place({f"nested/{path}": body for path, body in bin_files(NEW).items()})
    said = pt5.upload(*arguments, code=3)
    where = f"No files found to upload in {pt5.data}; --recursive looks into folders"
    assert said.err == f"pt5-uploader: {where}\n"
    assert "Summary" not in said.out
    # A dry run finds out as well.
    gone = "waybill-no-such-bucket"
    said = pt5.upload("--source", str(pt5.data), "--bucket", gone, "--dry-run", code=1)
    assert f"bucket '{gone}' does not exist" in said.err
    assert "would upload" not in said.out


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (invalid_access_key(), 1, "S3 does not accept the AWS credentials (InvalidAccessKeyId)"),
        (signature_mismatch(), 1, "S3 does not accept the AWS credentials (SignatureDoesNotMatch)"),
        (expired_token(), 1, "the AWS credentials have expired"),
        (access_denied(), 0, "AWS credentials are valid; they may not list all buckets"),
        (None, 0, "AWS credentials are valid\n"),
    ],
)
def test_validate_credentials_alone(pt5: Cytobot, fault, code: int, text: str) -> None:
    if fault is not None:
        pt5.proxy.fault(fault)
    said = pt5.upload("--validate", code=code)
    assert text in said.all
    assert {r.op for r in said.requests} == {"ListBuckets"}
    assert list(pt5.home.iterdir()) == []


def test_validate_with_a_bucket_and_without_credentials(pt5: Cytobot) -> None:
    pt5.proxy.fault(access_denied(), op="ListObjectsV2")
    said = pt5.upload("--validate", "--bucket", pt5.bucket, code=1)
    assert "access denied to ListObjectsV2" in said.err
    assert {r.op for r in said.requests} == {"ListObjectsV2"}
    pt5.keyless = True
    said = pt5.upload("--validate", "--bucket", pt5.bucket, code=1)
    assert "no AWS credentials found" in said.err
    assert said.requests == []
