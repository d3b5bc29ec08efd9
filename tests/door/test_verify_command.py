"""``waybill verify``: the report as a table, and a folder against a list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from doors import Door, Spoken


@pytest.fixture
def work(door: Door, tmp_path: Path) -> Path:
    """A folder with a configuration of two transfers: data, and one without a bucket."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""
[transfers.data]
source = "{door.data}"
destination = "s3://{door.bucket}/data/"
[transfers.lost]
source = "{door.data}"
destination = "s3://no-such-bucket-{door.bucket}/"
"""
    )
    return folder


def verify(door: Door, work: Path, *arguments: str, code: int = 0) -> Spoken:
    said = door.run("verify", *arguments, command="main", cwd=work, code=code)
    assert {request.method for request in said.requests} <= {"GET", "HEAD"}
    return said


def columns(said: Spoken) -> list[list[str]]:
    """The rows of the table without its header."""
    rows = [line.split() for line in said.out.splitlines()]
    return [row for row in rows if row and row[0] in "*+-!="]


def test_transfers(door: Door, work: Path) -> None:
    for number in range(60):
        door.write(f"folder/file{number}.bin", 100)
    config = ("--config", "config.toml")
    data = (*config, "--transfers", "data")
    said = verify(door, work, *data, code=3)
    assert "data: nothing to check: no marker and no manifest" in said.err
    assert said.out == ""
    door.run("run", *data, "--yes", command="main", cwd=work)

    said = verify(door, work, *config, "--depth", "content", code=1)
    place = f"{door.data} -> s3://{door.bucket}/data/"
    assert said.out == (f"data: {place}\n  60 files proven, 5.9 KiB; depth content: all agree\n")
    assert said.err.count("\n") == 1
    assert "waybill: lost: FAILED list s3://no-such-bucket-" in said.err
    assert len([r for r in said.requests if r.op == "GetObject"]) == 60

    for number in range(55):
        os.utime(door.data / f"folder/file{number}.bin", ns=(1, 1))
    (door.data / "new\x1bfile").write_bytes(b"1")
    (door.data / "folder/file59.bin").unlink()
    said = verify(door, work, *data, code=1)
    assert "*  source" in said.out
    assert len(columns(said)) == 50
    assert "  ... and 7 more\n" in said.out
    assert "5 agree" not in said.out
    assert "4 agree, 55 changed at the source, 1 gone from the source, 1 never moved" in said.out
    assert "  all of it: results/data/verify/report.tsv\n" in said.out
    assert "\x1b" not in said.out
    said = verify(door, work, *data, "--depth", "content", "--sample", "1/60", code=1)
    assert sorted(row[:3] for row in columns(said)) == [
        ["+", "source", "new\\x1bfile"],
        ["-", "source", "folder/file59.bin"],
    ]
    assert "of them looked at (sample 1/60, 20" in said.out


def test_a_folder_against_a_list(door: Door, work: Path) -> None:
    door.write("folder/a.bin", 100)
    door.write("b.bin", 100)
    (work / "results").mkdir()
    lines = [f"{'0' * 64}  folder/a.bin", f"SHA256 (missing) = {'0' * 64}"]
    (work / "list").write_text("\n".join(lines))
    against = ("--against", "list", str(door.data))
    said = verify(door, work, *against, code=1)
    assert [row[:3] for row in columns(said)] == [
        ["*", "destination", "folder/a.bin"],
        ["+", "destination", "missing"],
        ["-", "destination", "b.bin"],
    ]
    assert "2 files listed, 100 B; depth content: 0 agree, 1 differ, 1 missing, 1 not" in said.out
    (door.data / "missing").touch()
    said = verify(door, work, *against, "--depth", "listing")
    assert "depth listing: 2 agree, 1 not listed" in said.out
    said = verify(door, work, *against, "--sample", "1/1", code=1)
    assert said.requests == []
    assert not (work / ".snakemake").exists()
    (work / "list").write_text("")
    said = verify(door, work, *against, code=3)
    assert said.err == "waybill: nothing to check: list lists nothing\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--against", "list"), "one does not go without the other"),
        ((".",), "one does not go without the other"),
        (("--against", "list", "nowhere"), "nowhere: no such folder"),
        (("--against", "nowhere", "."), "nowhere: cannot be read: No such file"),
        (("--against", "config.toml", "."), "config.toml:2: neither a manifest nor a line"),
        (("--against", "config.toml", ".", "--depth", "metadata"), "a folder has no checksums"),
        (("--sample", "2/1"), "N from 1 to M"),
        (("--depth", "deep"), "'deep'"),
        (("--transfers", "dta", "--config", "config.toml"), 'did you mean "data"?'),
    ],
)
def test_usage(door: Door, work: Path, arguments: tuple[str, ...], problem: str) -> None:
    assert problem in verify(door, work, *arguments, code=2).err
