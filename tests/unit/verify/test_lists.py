"""A folder against lists that other tools wrote: coreutils, OpenSSL, the seed's manifest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from waybill.model.errors import WaybillError
from waybill.model.selection import Selection
from waybill.results import published
from waybill.verify import lists
from waybill.verify.count import Count
from waybill.verify.folder import hold_folder, look_at
from waybill.verify.judge import Expected, Finding

FILES = {
    "plain": b"1",
    "folder/with space": b"22",
    "new\nline": b"333",
    "back\\slash": b"4444",
    "cr\r": b"55555",
    "-": b"666666",
    ") = 0": b"7777777",
    "é": b"",
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "folder").mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def held(file: Path, folder: Path, depth: str = "content", **settings: Any) -> list[Finding]:
    """All that is found, in the order of the paths."""
    count = Count(settings.pop("sample", (1, 1)), settings.pop("today", date(2026, 1, 1)))
    looks = hold_folder(file, folder, count, "", depth=depth, selection=Selection(), **settings)
    found = [finding for _, finding in count.decided]
    found += [finding for look in looks for finding in look_at(folder, look)]
    return sorted(found, key=lambda f: f.path)


def wrong(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.status, f.side, f.path) for f in found if f.status != "="]


def coreutils(folder: Path, *options: str) -> bytes:
    names = [f"./{name}" if name.startswith("-") else name for name in FILES]
    command = ["sha256sum", *options, *names]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def found_by_tool(folder: Path) -> bytes:
    command = ["find", ".", "-type", "f", "-exec", "sha256sum", "{}", "+"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


WRITERS = {
    "text": lambda folder: coreutils(folder),
    "binary": lambda folder: coreutils(folder, "--binary"),
    "BSD": lambda folder: coreutils(folder, "--tag"),
    "find": found_by_tool,
    "upper case": lambda f: b"".join(
        line[:64].upper() + line[64:] + b"\n"
        for line in coreutils(f).splitlines()
        if line[:1] != b"\\"
    ),
    "OpenSSL": lambda f: "".join(
        f"{tag}({name})= {sha256(data)}\r\n"
        for tag, (name, data) in zip(["SHA256", "SHA2-256"] * 4, FILES.items(), strict=True)
        if name.isprintable()
    ).encode(),
    "absolute": lambda f: f"# of today\n\n{sha256(b'1')}  {f}/plain\n".encode(),
    "seed": lambda f: json.dumps({"files": [seed(name) for name in FILES]}).encode("utf-8-sig"),
}


def seed(name: str) -> dict[str, Any]:
    """An entry of the seed's manifest, whose time is a local one that says it is UTC."""
    data = FILES[name]
    return {
        "filename": name, "size_bytes": len(data), "sha256": sha256(data),
        "modified_at": "2001-01-01T01:12:03.109945Z",
    }  # fmt: skip


@pytest.mark.parametrize("writer", WRITERS)
def test_lists_of_all_kinds(tmp_path: Path, folder: Path, writer: str) -> None:
    file = tmp_path / "list"
    file.write_bytes(WRITERS[writer](folder))
    listed = {entry.path for entry in lists.read(file)}
    if writer not in ("upper case", "OpenSSL"):
        listed = {Path(path).name if writer == "absolute" else path for path in listed}
        assert listed == ({"plain"} if writer == "absolute" else set(FILES))
    extra = [("-", "destination", name) for name in sorted(FILES) if name not in listed]
    assert wrong(held(file, folder)) == extra
    assert not any(finding.fails for finding in held(file, folder))

    # One byte, at the same size and time; a file that is gone; one that is of another size.
    status = (folder / "plain").stat()
    (folder / "plain").write_bytes(b"2")
    os.utime(folder / "plain", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ("*", "destination", "plain") in wrong(held(file, folder))
    assert wrong(held(file, folder, "listing")) == extra
    (folder / "plain").unlink()
    for depth in ("content", "listing"):
        assert ("+", "destination", "plain") in wrong(held(file, folder, depth))
    (folder / "plain").write_bytes(b"longer")
    assert ("*", "destination", "plain") in wrong(held(file, folder))
    if writer == "seed":
        assert wrong(held(file, folder, "listing")) == [("*", "destination", "plain")]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    name = os.fsencode(folder) + b"/caf\xe9"
    Path(os.fsdecode(name)).write_bytes(b"1")
    file = tmp_path / "list"
    file.write_bytes(sha256(b"1").encode() + b"  caf\xe9\n")
    assert [(f.status, f.path) for f in held(file, folder)] == [("=", "caf\udce9")]
    Path(os.fsdecode(name)).write_bytes(b"2")
    assert wrong(held(file, folder)) == [("*", "destination", "caf\udce9")]


def test_what_cannot_be_looked_at_is_never_right(tmp_path: Path, folder: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"1")
    (folder / "link").symlink_to(outside)
    (folder / "pipe").touch()
    (folder / "pipe").unlink()
    os.mkfifo(folder / "pipe")
    lines = {
        "link": "= both",
        "../outside": "! destination",
        str(outside): "! destination",
        "folder": "! destination",
        "pipe": "! destination",
        "nul\0": "! destination",
        "plain/below": "+ destination",
        "n" * 300: "! destination",
    }
    file = tmp_path / "list"
    file.write_text("".join(f"{sha256(b'1')}  {path}\n" for path in lines))
    found = {f.path: f"{f.status} {f.side}" for f in held(file, folder)}
    assert {path: found[path] for path in lines} == lines

    manifest = {"files": [seed("plain") | {"sha256": None}, seed("é") | {"size_bytes": None}]}
    file.write_text(json.dumps(manifest))
    found = {f.path: f for f in held(file, folder) if f.status != "-"}
    assert found["plain"].status == "!"
    assert "no SHA-256" in found["plain"].reason
    assert found["é"].status == "="
    assert {f.status for f in held(file, folder, "listing")} == {"=", "-"}


def test_a_sample_of_a_list(tmp_path: Path, folder: Path) -> None:
    """What is missing is told of all, each other entry in its turn."""
    file = tmp_path / "list"
    file.write_bytes(coreutils(folder))
    (folder / "é").unlink()
    turns = [held(file, folder, sample=(1, 4), today=date(2026, 1, day)) for day in range(1, 5)]
    for found in turns:
        assert wrong(found) == [("+", "destination", "é")]
    agree = sorted(f.path for found in turns for f in found if f.status == "=")
    assert agree == sorted(set(FILES) - {"é"})


def test_the_list_itself_may_stand_in_the_folder(folder: Path) -> None:
    file = folder / "manifest-sha256.txt"
    file.write_bytes(coreutils(folder))
    assert wrong(held(file, folder)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{'0' * 64}  ok\nd41d8cd98f00b204e9800998ecf8427e  md5\n", r"list:2: neither"),
        (f"SHA512 (x) = {'0' * 128}\n", "list:1: neither"),
        ("[transfers.x]\n", "list:1: neither"),
        ("{}", "no manifest"),
        ('{"files": 1}', "no manifest"),
        ('{"files": [{"filename": 1}]}', "no manifest"),
        ('{"files": [{"filename": "a"}', "no manifest"),
        ('{"files": [{"filename": "a", "size_bytes": -1}]}', r"files\[0\]: size_bytes"),
        ('{"files": [{"filename": "a", "sha256": "zz"}]}', r"files\[0\]: sha256"),
        (f"{'0' * 64}  a\n{'1' * 64}  ./a\n", "lists a twice"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "list"
    file.write_text(text)
    with pytest.raises(WaybillError, match=problem) as caught:
        lists.read(file)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WaybillError, match="No such file"):
        lists.read(tmp_path / "nowhere")
    with pytest.raises(WaybillError, match="directory"):
        lists.read(tmp_path)


def test_a_manifest_of_ours_tells_more() -> None:
    """Key, etag and the time in milliseconds, for where the markers are lost."""
    file = seed("plain") | {
        "key": "x/plain",
        "etag": "e",
        "modified_at": "1969-12-31T23:59:59.999Z",
    }
    data = json.dumps({"metadata": {"upload_destination": "s3://b/x/"}, "files": [file]}).encode()
    assert list(lists.manifest(data, "m")) == [
        Expected("plain", "x/plain", 1, -1_000_000, sha256(b"1"), "e")
    ]
    assert published.destination(json.loads(data)) == "s3://b/x/"
    assert published.destination({"files": []}) == ""
    seeds = json.dumps({"files": [seed("plain")]}).encode()
    assert next(lists.manifest(seeds, "m")).mtime_ns is None


@pytest.mark.parametrize("tool", ["md5sum", "sha1sum", "sha512sum"])
@pytest.mark.parametrize("tag", [[], ["--tag"]])
def test_a_list_of_other_checksums_is_named(tmp_path: Path, tool: str, tag: list[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    found = subprocess.run([tool, *tag, "a"], cwd=tmp_path, capture_output=True, check=True)
    file = tmp_path / "list"
    file.write_bytes(found.stdout)
    with pytest.raises(WaybillError) as error:
        lists.read(file)
    name = tool.removesuffix("sum").upper()
    assert str(error.value) == (
        f"{file}:1: neither a manifest nor a line of a sha256sum file"
        f" but one of {name}, and Waybill compares by SHA-256; check this list with"
        f" `{tool} -c`, or make one with `sha256sum`"
    )
    assert error.value.exit_code == 2
