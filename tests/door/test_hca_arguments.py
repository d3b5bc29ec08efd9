"""The command lines of ``hca-smart-sync``, and the user's configuration behind them."""

from __future__ import annotations

import re

import pytest
from doors import Door

from waybill import __version__

FOLDERS = "source-datasets or integrated-objects"


def configure(door: Door, text: str) -> None:
    folder = door.home / ".hca-smart-sync"
    folder.mkdir()
    (folder / "config.yaml").write_text(text)


def test_version_and_help(door: Door) -> None:
    assert door.run("--version").out == f"hca-smart-sync {__version__}\n"
    assert door.run().out == door.run("--help").out
    for option in ("--profile", "--environment", "--local-path", "--dry-run", "--force", "--yes"):
        assert option in door.run().out


# Usage errors, with and without a default atlas in the user's configuration.
@pytest.mark.parametrize(
    ("words", "atlas", "message"),
    [
        ("sync", "", "File type required"),
        ("--dry-run", "gut-v1", "File type required"),
        ("sync source-datasets", "", "Atlas is required"),
        ("integrated-objects", "", "Atlas is required"),
        ("source-datasets gut-v1", "gut-v1", "no second argument is allowed"),
        ("source-datasets source-datasets", "gut-v1", "no second argument is allowed"),
        ("gut-v1 lung-v1", "", "Unrecognized file type: lung-v1"),
        ("gut-v1 source-datasets more", "", "too many arguments: more"),
        ("gut-v1 --folder elsewhere", "", "Unrecognized file type: elsewhere"),
        ("gut-v1 source-datasets --folder integrated-objects", "", "contradicts"),
        ("gut-v1 --environment staging", "", "invalid choice: 'staging'"),
        ("gut-v1 --forc", "", "unrecognized arguments: --forc"),
        ("config", "", "init or show"),
        ("config show more", "", "init or show"),
        ("gut-v9", "", 'Unknown atlas: gut-v9; did you mean "gut-v'),
        ("sync source-datasets", "gut-v01", "Unknown atlas: gut-v01"),
        ("gut-v1 --local-path nowhere", "", "--local-path: nowhere does not exist"),
        ("gut-v1 --local-path a.h5ad", "", "--local-path: a.h5ad is not a folder"),
    ],
)
def test_usage_errors(door: Door, words: str, atlas: str, message: str) -> None:
    door.write("a.h5ad")
    if atlas:
        configure(door, f"atlas: {atlas}\n")
    said = door.run(*words.split(), code=2)
    assert message in said.err
    assert said.out == ""
    assert said.requests == []
    assert door.states() == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HCA_DRY_RUN", "perhaps", "HCA_DRY_RUN: 'perhaps' is not allowed"),
        ("HCA_S3_BUCKET", "no..bucket", 'HCA_S3_BUCKET: "no..bucket" is not the name of a bucket'),
        ("HCA_AWS_REGION", "Not A Region", 'region: "Not A Region" is not allowed'),
    ],
)
def test_bad_environment(door: Door, name: str, value: str, message: str) -> None:
    said = door.run("gut-v1", code=2, **{name: value})
    assert message in said.err
    assert said.requests == []


def test_options_stand_anywhere_and_the_environment_is_heard(door: Door) -> None:
    """All in one run: the form of the 0.1 guide with a legacy option between the words, another
    bucket and a dry run from the environment, the profile from the user's configuration."""
    configure(door, "profile: lab\natlas: lung-v2\n")
    (door.home / "aws").write_text("[lab]\naws_access_key_id = x\naws_secret_access_key = y\n")
    door.write("a.h5ad")
    said = door.run(
        "--verbose", "sync", "--folder", "integrated-objects",
        HCA_DRY_RUN="true", HCA_S3_TRANSFER_ACCELERATION="false", HCA_AWS_REGION="us-east-1",
        AWS_SHARED_CREDENTIALS_FILE=str(door.home / "aws"),
    )  # fmt: skip
    assert f"s3://{door.bucket}/lung/lung-v2/integrated-objects/" in said.out
    assert "Dry run" in said.out
    assert "Credential=x/" in said.requests[0].headers["authorization"]
    (state,) = door.states()
    config = (state / "config.toml").read_text()
    assert 'profile = "lab"\n' in config
    assert "accelerate = false\n" in config


def test_config_init_and_show(door: Door) -> None:
    shown = door.run("config", "show")
    assert "not there" in shown.out
    assert "hca-smart-sync config init" in shown.out

    no_terminal = door.run("config", "init", code=2)
    assert "no terminal" in no_terminal.err
    file = door.home / ".hca-smart-sync" / "config.yaml"
    assert not file.exists()

    def init(profile: str, atlas: str, code: int = 0) -> str:
        with door.talk("config", "init") as talk:
            asked = talk.expect("AWS profile")
            talk.type(f"{profile}\n")
            asked += talk.expect("Default atlas")
            talk.type(f"{atlas}\n")
            return asked + talk.end(code).out

    assert "Unknown atlas: gut-v7" in init("lab", "gut-v7", code=1)
    assert not file.exists()
    init("lab", "gut-v1")
    assert file.read_text() == "profile: lab\natlas: gut-v1\n"
    said = init("", "gut-v2")
    assert "[lab]" in said
    assert "[gut-v1]" in said
    assert file.read_text() == "profile: lab\natlas: gut-v2\n"

    shown = door.run("config", "show", HCA_S3_BUCKET="")
    assert re.search(r"^AWS profile +lab \(user config\)$", shown.out, re.MULTILINE)
    assert re.search(r"^atlas +gut-v2 \(user config\)$", shown.out, re.MULTILINE)
    assert "hca-atlas-tracker-data-dev" in shown.out
    shown = door.run("config-show", "--profile", "other", HCA_AWS_PROFILE="env")
    assert re.search(r"^AWS profile +other \(--profile\)$", shown.out, re.MULTILINE)
    shown = door.run("config-show", HCA_AWS_PROFILE="env")
    assert re.search(r"^AWS profile +env \(HCA_AWS_PROFILE\)$", shown.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: [lab\n", "not valid YAML (line 2)"),
        ("- profile\n- atlas\n", "not a table of settings"),
        ("profile: 5\n", "profile: not a text"),
    ],
)
def test_a_configuration_that_cannot_be_used(door: Door, text: str, message: str) -> None:
    configure(door, text)
    for command in ("show", "init"):
        with door.talk("config", command) as talk:
            assert message in talk.end(1).out
    # A sync says so and goes on: here until it finds that there is no such folder.
    said = door.run("gut-v1", "--local-path", "nowhere", code=2)
    warning, error = said.err.splitlines()
    assert "warning: " in warning
    assert message in warning
    assert "nowhere does not exist" in error
