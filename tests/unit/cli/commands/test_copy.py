"""``waybill copy``: the configuration it writes, and what it refuses."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from support.server import S3Server
from waybill.cli.commands import copy
from waybill.cli.main import main, make_parser
from waybill.config import read
from waybill.model.errors import ConfigError, WaybillError
from waybill.model.transfer import Transfer


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data below it."""
    folder = tmp_path / "work"
    (folder / "run 1").mkdir(parents=True)
    (folder / "run 1" / "a[1].bin").write_bytes(b"a")
    monkeypatch.chdir(folder)
    return folder


def prepared(*words: str) -> tuple[Path, Transfer]:
    """The file that `waybill copy WORDS` writes, and the transfer in it."""
    name, file = copy.prepare(make_parser("copy").parse_args(["copy", *words]))
    (transfer,) = read.load(file).values()
    assert transfer.name == name
    return file, transfer


def test_a_folder_and_all_options(work: Path) -> None:
    words = ["run 1", "s3://bucket/run1/", "--exclude", "*.tmp", "--include", "*.bin"]
    words += ["--include", "x/", "--endpoint-url", "http://127.0.0.1:9", "--region", "eu-west-1"]
    words += ["--aws-profile", "lab", "--set", "settle=60", "--set", 'tags={"a b"="c", d="e"}']
    file, transfer = prepared(*words, "--set", "compare=size", "--set", "storage_class=STANDARD_IA")
    assert file.parent == work / "results"
    assert file.stem.startswith("run-1-")
    assert transfer.source == str(work / "run 1")
    assert transfer.destination == "s3://bucket/run1/"
    assert (transfer.include, transfer.exclude) == (("*.bin", "x/"), ("*.tmp",))
    assert transfer.endpoint_url == "http://127.0.0.1:9"
    assert (transfer.region, transfer.profile) == ("eu-west-1", "lab")
    assert (transfer.settle, transfer.compare) == (60, "size")
    assert transfer.tags == {"a b": "c", "d": "e"}
    assert transfer.storage_class == "STANDARD_IA"
    assert transfer.results == work / "results" / transfer.name


def test_the_same_places_are_the_same_transfer(work: Path) -> None:
    """So a second copy goes on where the first one ended, whatever else it says."""
    file, _ = prepared("run 1", "s3://bucket/p/")
    same, transfer = prepared(str(work / "run 1"), "s3://bucket/p/", "--exclude", "x")
    assert same == file
    assert transfer.exclude == ("x",)
    assert prepared("run 1", "s3://bucket/q/")[0] != file
    assert prepared("run 1", "s3://bucket/p/", "--name", "mine")[0].name == "mine.toml"


def test_a_file_that_a_person_changed_stays(work: Path) -> None:
    file, _ = prepared("run 1", "s3://bucket/p/")
    head, rest = file.read_text().split("\n", 1)
    assert head == copy.HEAD
    file.write_text(rest)
    with pytest.raises(WaybillError, match=r"waybill run --config results/run-1-.*--name") as error:
        prepared("run 1", "s3://bucket/p/")
    assert error.value.exit_code == 2
    assert file.read_text() == rest


def test_one_file_alone(work: Path) -> None:
    """The file keeps its name, so a destination that gives it another is refused."""
    for destination in ("s3://bucket/p/", "s3://bucket/p/a[1].bin"):
        _, transfer = prepared("run 1/a[1].bin", destination)
        assert transfer.destination == "s3://bucket/p/"
        assert transfer.source == str(work / "run 1")
        assert transfer.selection.matches("a[1].bin")
        assert not transfer.selection.matches("a1.bin")
        assert not transfer.selection.matches("sub/a[1].bin")
    assert prepared("run 1/a[1].bin", "s3://bucket")[1].destination == "s3://bucket/"
    with pytest.raises(WaybillError, match=r"keeps its name; write s3://bucket/p/b.bin/ for the"):
        prepared("run 1/a[1].bin", "s3://bucket/p/b.bin")


def test_one_object_alone(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3.env().items():
        monkeypatch.setenv(key, value)
    for key in ("p/a.bin", "p/both", "p/both/c.bin", "top.bin"):
        s3.client().put_object(Bucket=bucket, Key=key, Body=b"a")
    _, transfer = prepared(f"s3://{bucket}/p/a.bin", "in")
    assert transfer.source == f"s3://{bucket}/p/"
    assert transfer.include == ("/a.bin",)
    assert transfer.folder == Path.cwd() / "in"
    assert prepared(f"s3://{bucket}/top.bin", "in")[1].include == ("/top.bin",)
    assert prepared(f"s3://{bucket}/p", "in")[1].include == ("**",)
    assert prepared(f"s3://{bucket}/p/both/", "in")[1].include == ("**",)
    with pytest.raises(WaybillError, match=r"is an object and a folder; write .*/both/ for"):
        prepared(f"s3://{bucket}/p/both", "in")


def test_a_dollar_and_a_tilde_are_themselves(work: Path) -> None:
    (work / "~" / "$HOME").mkdir(parents=True)
    _, transfer = prepared("~/$HOME", "s3://bucket/p/", "--results", "$r")
    assert transfer.folder == work / "~" / "$HOME"
    assert transfer.results.parent == work / "$r"


@pytest.mark.parametrize(
    "words, says",
    [
        (["run 1"], "destination: missing; a transfer needs a source and a destination"),
        (["a", "b"], "destination: source and destination are both folders"),
        (["run 1", "s3://b/p/"], 'destination: "b" is not the name of a bucket'),
        (["run 1", "s3://bucket/", "--set", "compare=sizes"], 'did you mean "size"?'),
        (["run 1", "s3://bucket/", "--set", "hca.atlas=x-v1"], 'hca: only with preset = "hca"'),
        (["run 1", "s3://bucket/", "--preset", "ilumina"], 'did you mean "illumina"?'),
        (["s3://bucket/p/", "."], "is the working folder"),
        (["run 1", "s3://bucket/", "--name", "größe"], "not a valid name; allowed: letters"),
    ],
)
def test_mistakes_begin_with_the_key(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError) as error:
        prepared(*words)
    assert says in str(error.value)
    assert not Path("results").exists()


def test_bytes_that_no_configuration_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", os.fsdecode(b"a\xff"), "s3://bucket/p/", "--yes"]) == 2
    assert "has a byte that a configuration cannot hold" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["copy", "a", "s3://bucket/p/", "--set", "compare"])
    assert "'compare' is not KEY=VALUE" in capsys.readouterr().err


def test_what_is_written_can_be_run_again_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, transfer = prepared("run 1", "s3://bucket/p/")
    monkeypatch.chdir(tmp_path)
    assert read.load(file) == {transfer.name: transfer}
    assert list(tomllib.loads(file.read_text())["transfers"][transfer.name]) == [
        "source", "destination", "results",
    ]  # fmt: skip
