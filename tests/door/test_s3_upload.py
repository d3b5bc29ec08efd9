"""``s3-upload upload``: one sequencing run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sequencing import FILES, Core, sent

from support.illumina import make_run
from support.proxy import access_denied
from support.server import ACCESS_KEY, SECRET_KEY
from waybill import __version__
from waybill.cli.s3_upload import config
from waybill.config import read

CONFIG = Path(__file__).parents[2] / "config"

# What is in one is a regular expression, a shell's, a glob's, TOML's or Snakemake's.
ODD = "seq (A)+ $HOME {x} [ab]* 'q' ~"


def test_one_run(core: Core) -> None:
    run = core.make_run("run_1", ODD)
    core.add(run, "Config/.hidden/.options")
    core.add(run, "Thumbnail_Images/L001/C[1]*.png")
    keys = sorted(f"run_1/{path.relative_to(run)}" for path in run.rglob("*") if path.is_file())

    # A relative path, with the seed's own variables and those of somebody else.
    pair = {"AWS_ACCESS_KEY": ACCESS_KEY, "AWS_SECRET_KEY": SECRET_KEY}
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAOFSOMEBODYELSE00", "AWS_SESSION_TOKEN": "of-theirs"}
    said = core.upload(
        "--local_path", "run_1", "--bucket", core.bucket, cwd=run.parent, **pair, **wrong
    )
    assert core.keys("^(?!manifests/)") == keys
    assert {r.headers["authorization"].partition("=")[2][:20] for r in said.requests} == {
        ACCESS_KEY
    }
    assert not any("x-amz-security-token" in r.headers for r in said.requests)
    assert "Uploaded 7 file(s), " in said.out
    assert f"to s3://{core.bucket}/run_1/; 7 of 7 file(s) proven" in said.out
    assert said.err == ""
    order = [key.removeprefix("run_1/") for key in sent(said)]
    assert set(order[:2]) == {"RunInfo.xml", "SampleSheet.csv"}
    assert set(order[-2:]) == {"RTAComplete.txt", "CopyComplete.txt"}
    for path in FILES:
        assert core.body(f"run_1/{path}") == (run / path).read_bytes()
    (key,) = core.keys("^manifests/manifest-")
    assert f"Manifest s3://{core.bucket}/{key}" in said.out
    assert sorted(file["key"] for file in json.loads(core.body(key))["files"]) == keys

    # Once more, in the other spelling: looked at, and what was deleted or changed is sent.
    core.proxy.straight().delete_object(Bucket=core.bucket, Key="run_1/Data/L001.cbcl")
    core.add(run, "RTAComplete.txt", "later")
    path = f"{run}/../run_1/"
    said = core.upload("--local-path", path, "--bucket", core.bucket, "--cores=1", "--threads=1")
    assert sent(said) == ["run_1/Data/L001.cbcl", "run_1/RTAComplete.txt"]
    assert "Uploaded 2 file(s)" in said.out

    # To another place, by the name of a link, on a terminal.
    (core.data / "latest").symlink_to(run)
    words = ("--local_path", "latest", "--bucket", core.bucket, "--remote_path", "/up/2024/")
    with core.talk("upload", *words, command="s3_upload") as talk:
        talk.expect("Looking at the runs ...")
        talk.expect(" of 7 files, ")
        talk.end(0)
    assert len(core.keys("^up/2024/latest/")) == len(keys)
    states = (core.home / ".local/state/waybill/s3-upload").iterdir()
    assert sorted(path.name.partition("-")[0] for path in states) == ["latest", "run_1"]


def test_what_fails_is_named_and_sent_by_the_next_run(core: Core) -> None:
    core.make_run("run_1")
    core.proxy.fault(access_denied(), op="PutObject", key="*.cbcl")
    words = ("--local_path", "A/run_1", "--bucket", core.bucket)
    said = core.upload(*words, code=1)
    failed = [line for line in said.err.splitlines() if "of `last` wait until" not in line]
    assert len(failed) == 1
    assert re.fullmatch("s3-upload: FAILED run_1/Data/L001.cbcl: .*access denied.*", failed[0])
    assert "2 of 5 file(s) proven" in said.out
    assert core.keys() == ["run_1/RunInfo.xml", "run_1/SampleSheet.csv"]

    core.proxy.faults.clear()
    said = core.upload(*words)
    assert sent(said)[0] == "run_1/Data/L001.cbcl"
    assert len(sent(said)) == 3
    said = core.upload(*words)
    assert "Nothing to upload" in said.out
    assert sent(said) == []


def test_only_a_finished_run_or_what_shall_pass_for_one(core: Core) -> None:
    for look, state, words in (
        ("NovaSeq 6000", "copying", "no CopyComplete.txt yet: the NovaSeq 6000 still copies"),
        ("NextSeq 500", "in progress", "in progress: no .* RTAComplete.xml"),
    ):
        run = make_run(core.data, look, state)
        said = core.upload("--local_path", str(run), "--bucket", core.bucket, code=1)
        assert re.search(f"{run.name}: .*{words}.*; --skip_check", said.err), said.err
        assert said.requests == []
    (core.data / "B" / "run_1").mkdir(parents=True)
    said = core.upload("--local_path", "B", "--bucket", core.bucket, code=1)
    assert f"{core.data}/B: no RunInfo.xml" in said.err

    (core.data / "B" / "run_1" / "a.txt").write_text("a")
    core.upload("--local_path", "B", "--bucket", core.bucket, "--skip_check")
    assert core.keys("^B/") == ["B/run_1/a.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("upload --bucket my-bucket", "--local_path"),
        ("upload --local_path A", "--bucket"),
        ("upload --local_path nowhere --bucket my-bucket", "nowhere does not exist"),
        ("upload --local_path a.txt --bucket my-bucket", "a.txt is not the folder of a run"),
        ("upload --local_path A --bucket my..bucket", '--bucket: "my..bucket" is not the name'),
        ("upload --local_path A --bucket my-bucket --remote_path a//b", "--remote_path: has"),
        ("upload --local_path A --bucket my-bucket --cores 0", "'0' is not a number"),
        ("upload --local_path A --bucket my-bucket --threads many", "'many' is not a number"),
        ("upload --local_path A --bucket my-bucket --thread 4", "--thread"),
        ("monitor", "--config"),
        ("monitor --config nowhere.json", "nowhere.json: no such file"),
        ("fetch", "invalid choice: 'fetch'"),
    ],
)
def test_usage(core: Core, words: str, message: str) -> None:
    (core.data / "A").mkdir()
    (core.data / "a.txt").write_text("a")
    said = core.run(*words.split(), command="s3_upload", code=2)
    assert message in said.err
    assert said.out == ""
    assert said.requests == []


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"AWS_ACCESS_KEY": "A"}, "AWS_ACCESS_KEY is set and AWS_SECRET_KEY is not"),
        ({"AWS_SECRET_KEY": "B"}, "AWS_SECRET_KEY is set and AWS_ACCESS_KEY is not"),
        (
            {"AWS_SECRET_KEY": "B", "AWS_ACCESS_KEY": "A", "AWS_DEFAULT_PROFILE": "lab"},
            "AWS_DEFAULT_PROFILE and AWS_ACCESS_KEY are both set",
        ),
    ],
)
def test_half_a_key(core: Core, pair: dict[str, str], message: str) -> None:
    core.make_run("run_1")
    said = core.upload("--local_path", "A/run_1", "--bucket", core.bucket, code=2, **pair)
    assert message in said.err
    assert said.requests == []


def test_the_examples_are_sound() -> None:
    assert len(config.load(CONFIG / "monitor.json").monitor) == 2
    assert {t.preset for t in read.load(CONFIG / "illumina.toml").values()} == {"illumina"}


def test_version_and_help(core: Core) -> None:
    assert core.run("--version", command="s3_upload").out == f"s3-upload {__version__}\n"
    shown = core.run(command="s3_upload").out
    assert shown == core.run("--help", command="s3_upload").out
    assert "AWS_SECRET_KEY" in shown
    assert "--skip_check" in core.run("upload", "--help", command="s3_upload").out
