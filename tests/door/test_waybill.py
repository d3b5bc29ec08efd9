"""The command ``waybill`` over a configuration of the user's own."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from doors import Door, Spoken

from waybill import __version__
from waybill.cli.starter import STARTER
from waybill.config import read


@pytest.fixture
def work(door: Door, tmp_path: Path) -> Path:
    """A folder with a configuration of three transfers: data, an empty folder, no bucket."""
    folder = tmp_path / "work"
    (folder / "config").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (folder / "config" / "config.toml").write_text(
        f"""
[transfers.data]
source = "{door.data}"
destination = "s3://{door.bucket}/data/"
[transfers.1e5]
source = "{tmp_path}/empty"
destination = "s3://{door.bucket}/empty/"
[transfers.lost]
source = "{door.data}"
destination = "s3://no-such-bucket-{door.bucket}/"
"""
    )
    # Modules of these names must not be taken out of the folder one works in.
    (folder / "snakemake.py").write_text("raise SystemExit('not me')\n")
    return folder


def waybill(door: Door, work: Path, *arguments: str, code: int = 0) -> Spoken:
    return door.run(*arguments, command="main", cwd=work, code=code)


def test_plan_run_status(door: Door, work: Path) -> None:
    for number in range(60):
        door.write(f"folder/file{number}.bin", 100)
    said = waybill(door, work, "status", "--transfers", "data", code=1)
    assert said.out == "data: no run yet\n"

    said = waybill(door, work, "plan", "--transfers", "data,1e5", "--cores", "1", code=3)
    assert "file(s)" in said.out
    rows = [line for line in said.out.splitlines() if line.endswith("  new")]
    assert [row.split()[0] for row in rows[:3]] == [f"folder/file{n}.bin" for n in range(3)]
    assert len(rows) == 50
    assert "... and 10 more" in said.out
    assert "all of it: results/data/plan.tsv" in said.out
    assert door.keys() == []

    said = waybill(door, work, "run", "--transfers", "data", code=2)
    assert "no terminal" in said.err
    with door.talk("run", "--transfers", "data", command="main", cwd=work) as talk:
        talk.expect(f"Upload 60 file(s) to s3://{door.bucket}/data/? [y/N] ")
        second = waybill(door, work, "plan", "--transfers", "data", code=1)
        assert f"process {talk.process.pid} on {os.uname().nodename}" in second.err
        talk.type("n\n")
        assert "nothing uploaded" in talk.end(0).out
    assert door.keys() == []

    # One transfer that fails, one without files: the third is done all the same.
    said = waybill(door, work, "run", "--yes", code=1)
    assert len(said.puts("data/folder/*")) == 60
    assert "data: 60 files" in said.out
    assert "60 moved" in said.out
    assert said.err.count("does not exist; Waybill never creates buckets") == 1
    status = waybill(door, work, "status", code=1)
    assert "data: 60 files, 5.9 KiB: all proven" in status.out
    assert "lost: FAILED" in status.out


def test_what_only_a_hash_could_tell_is_read_when_it_matters(door: Door, work: Path) -> None:
    """A plan reads nothing, unless it is told to. The run asks before it hashes if it has to ask in
    any case, and hashes before it asks if there may be nothing to ask."""
    same = door.write("same.bin", 5000)
    door.write("new.bin", 300)
    url = f"s3://{door.bucket}/data/"
    door.proxy.client().put_object(Bucket=door.bucket, Key="data/same.bin", Body=b"x" * 5000)
    data = ("--transfers", "data")
    (work / "prices.toml").write_text('currency = "XTS"\nput = 500\nget = 250\nmonth = 1e7\n')
    said = waybill(door, work, "plan", *data, "--bandwidth", "10B", "--prices", "prices.toml")
    assert {r.op for r in said.requests} == {"ListObjectsV2"}
    lines = [line.strip() for line in said.out.splitlines()]
    assert "1 ? same size (4.9 KiB), 1 new (300 B)" in lines
    order = [line.split()[0] for line in lines if line.split()[:1] and ".bin" in line]
    assert order == ["same.bin", "new.bin"]
    assert lines[-4].startswith("? 1 file(s), 4.9 KiB: the same size is there, and nothing proves")
    assert lines[-3:] == [
        "time: about 30 s at 10 B/s",
        "requests: about 2 PUT, 1 LIST, 2 HEAD",
        "cost: about 2.00 XTS, and 3.00 a month to store what is moved",
    ]
    with door.talk("run", *data, command="main", cwd=work) as talk:
        talk.expect(f"Upload 1 file(s), and what has changed of 1 more, to {url}? [y/N] ")
        assert door.proxy.count(op="HeadObject") == 0
        talk.type("y\n")
        assert "2 moved" in talk.end(0).out
    assert door.body("data/same.bin") == same.read_bytes()

    same.write_bytes(b"y" * 5000)
    with door.talk("run", *data, command="main", cwd=work) as talk:
        talk.expect("Nothing else is to be moved, so they are compared before the question")
        talk.expect(f"Upload 1 file(s) to {url}? [y/N] ")
        talk.type("n\n")
        talk.end(0)
    said = waybill(door, work, "plan", *data, "--hash")
    row = next(line for line in said.out.splitlines() if "same.bin" in line)
    assert "  changed  " in row


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bandwidth", "fast"], "'fast': a size is a number of bytes"),
        (["--bandwidth", "0"], "'0' is not a number of bytes above 0"),
        (["--prices", "none.toml"], "none.toml: No such file"),
        (["--prices", "wrong.toml"], "wrong.toml: put: -1 is not a number that is not negative"),
        (["--prices", "wrong.toml"], "wrong.toml: gold: no such price; there are currency, put"),
    ],
)
def test_what_a_forecast_cannot_be_made_from(
    door: Door, work: Path, words: list[str], says: str
) -> None:
    (work / "wrong.toml").write_text("put = -1\ngold = 2\n")
    said = waybill(door, work, "plan", *words, code=2)
    assert says in said.err
    assert said.requests == []


def test_config(door: Door, work: Path, tmp_path: Path) -> None:
    """What it prints is a configuration that means the same; a mistake is named, all at once."""
    toml = work / "config" / "config.toml"
    toml.write_text(
        toml.read_text()
        + '[defaults]\ntags = {"a b" = "c"}\nexclude = ["*.tmp"]\nverify.sample = "1/7"\n'
        + "[transfers.data.batch]\nmax_files = 7\n"
    )
    hca = f'preset = "hca"\nsource = "{door.data}"\n[transfers.more.hca]\natlas = "gut-v1"\n'
    toml.write_text(f"{toml.read_text()}[transfers.more]\n{hca}")
    before = read.load(toml)
    printed = waybill(door, work, "config").out
    again = tmp_path / "again.toml"
    again.write_text(printed)
    assert read.load(again) == before
    assert set(tomllib.loads(printed)["transfers"]) == {"data", "1e5", "lost", "more"}

    toml.write_text('[transfers.a]\nsource = "x"\nsecret_key = "hush"\ncompare = "sha1"\n')
    for command in ("config", "plan", "run", "status"):
        said = waybill(door, work, command, code=2)
        assert "destination" in said.err
        assert "secret_key" in said.err
        assert '"sha256"' in said.err
        assert "hush" not in said.err
    assert not (work / "results").exists()
    said = waybill(door, work, "plan", "--config", "nowhere.toml", code=2)
    assert said.err == "waybill: nowhere.toml: no such file\n"
    for command in ("plan", "run", "status", "verify", "config"):
        said = waybill(door, tmp_path, command, code=2)
        assert said.err == (
            "waybill: config/config.toml: no such file; `waybill init` writes one, `--config TOML`"
            " names another, and `waybill copy SOURCE DESTINATION` needs none\n"
        )


def test_init(door: Door, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    waybill(door, new, "init")
    path = new / "config" / "config.toml"
    assert path.read_text() == STARTER
    assert list(read.load(path)) == ["data"]
    path.write_text("mine")
    said = waybill(door, new, "init", code=2)
    assert "is there already" in said.err
    assert path.read_text() == "mine"
    waybill(door, new, "init", "other.toml")
    assert (new / "other.toml").read_text() == STARTER


def test_the_starter_is_right_in_all_it_offers(tmp_path: Path) -> None:
    """With every commented line put to use it still is a configuration."""
    lines = STARTER.splitlines()
    used = [line.removeprefix("# ") if " = " in line or "# [" in line else line for line in lines]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(used))
    assert list(read.load(path)) == ["data", "scenes", "gut"]


def test_version_and_usage(door: Door, tmp_path: Path) -> None:
    assert waybill(door, tmp_path, "--version").out == f"waybill {__version__}\n"
    for command in ("plan", "run", "status", "config", "init"):
        assert command in waybill(door, tmp_path).out
    assert "not a number of cores" in waybill(door, tmp_path, "run", "--cores", "0", code=2).err


def test_a_download_asks_for_its_folder(door: Door, work: Path) -> None:
    client = door.proxy.client()
    client.put_object(Bucket=door.bucket, Key="scenes/a.tif", Body=b"scene")
    back = work / "back"
    text = f'[transfers.d]\nsource = "s3://{door.bucket}/scenes"\ndestination = "{back}"\n'
    (work / "down.toml").write_text(text)
    with door.talk("run", "--config", "down.toml", command="main", cwd=work) as talk:
        talk.expect(f"Download 1 file(s) to {back}? [y/N] ")
        assert not back.exists()
        talk.type("n\n")
        assert "nothing downloaded" in talk.end(0).out
    said = waybill(door, work, "run", "--config", "down.toml", "--yes")
    assert (back / "a.tif").read_bytes() == b"scene"
    assert said.out.splitlines()[-1] == f"d: 1 files, 5 B: all proven in {back}; 1 moved, 5 B"
    assert "pload" not in said.out + said.err


def test_where_tells_what_snakemake_is_given(door: Door, work: Path) -> None:
    lines = waybill(door, work, "where").out.splitlines()
    assert [line.split()[0] for line in lines] == ["snakefile", "profiles", "docs"]
    for line in lines:
        name, path = line.split()
        assert waybill(door, work, "where", name).out == f"{path}\n"
        assert Path(path).exists()
    assert "invalid choice: 'snakfile'" in waybill(door, work, "where", "snakfile", code=2).err


def test_what_no_pattern_selects_is_counted(door: Door, work: Path) -> None:
    """In both directions, on the screen of a plan and in the last line of a run."""
    for number in range(4):
        door.write(f"sub/f{number}.txt")
    door.proxy.client().put_object(Bucket=door.bucket, Key="down/a.txt", Body=b"a")
    (work / "none.toml").write_text(
        f"""
[defaults]
include = ["*.h5"]
[transfers.up]
source = "{door.data}"
destination = "s3://{door.bucket}/up/"
[transfers.down]
source = "s3://{door.bucket}/down/"
destination = "back"
exclude = ["x"]
"""
    )
    told = """4 files there, none matches include = ["*.h5"]"""
    said = waybill(door, work, "run", "--yes", "--config", "none.toml", code=3)
    lines = said.out.splitlines()
    assert f"  no files: {told}" in lines
    assert f"up: nothing to upload in {door.data}: {told}" in lines
    told = """1 files there, none matches include = ["*.h5"], exclude = ["x"]"""
    assert f"down: nothing to download in s3://{door.bucket}/down/: {told}" in lines
    assert said.puts("*") == []


def test_quiet_for_cron(door: Door, work: Path) -> None:
    """Silence when all is well; all of it, and the failure, when something is not."""
    door.write("a.bin")
    words = ["run", "--yes", "--quiet", "--transfers"]
    said = waybill(door, work, *words, "data", "--", "--keep-going")
    assert said.all == ""
    assert said.puts("*.bin") == ["data/a.bin"]
    assert waybill(door, work, "status", "-q", "--transfers", "data").all == ""
    said = waybill(door, work, *words, "data,lost", code=1)
    assert "does not exist; Waybill never creates buckets" in said.err
    assert "data: 1 files, 1000 B: all proven" in said.out
