"""The configuration of a monitor: the seed's own is taken as it is, and every mistake is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from waybill.cli.s3_upload import config
from waybill.cli.s3_upload.config import MonitorConfig, Section
from waybill.model.errors import EXIT_CONFIG, ConfigError

SECRET = "https://hooks.slack.com/services/T0/B0/s3cr3t"

# The example of the seed's README, with names that S3 allows.
EXAMPLE: dict[str, Any] = {
    "max_cores": 2,
    "max_threads": 8,
    "max_age": 48,
    "log_level": "INFO",
    "log_dir": "/var/log/s3_upload",
    "slack_log_webhook": SECRET,
    "slack_alert_webhook": "https://hooks.slack.com/services/T0/B0/alert",
    "monitor": [
        {
            "monitored_directories": ["/absolute/path/to/sequencer_1", "/absolute/sequencer_2"],
            "bucket": "bucket-a",
            "remote_path": "/",
            "sample_regex": "_assay_1_code_|_assay_code_2_",
            "exclude_patterns": [r"Thumbnail_Images", r"\.png$"],
        },
        {
            "monitored_directories": ["/absolute/path/to/sequencer_3"],
            "bucket": "bucket-b",
            "remote_path": "/sequencer_3_runs",
        },
    ],
}
LEAST = {"monitor": [{"monitored_directories": ["/seq"], "bucket": "bucket-a", "remote_path": "/"}]}


def load(folder: Path, document: Any, *, name: str = "config.json") -> MonitorConfig:
    file = folder / name
    data = document if isinstance(document, bytes) else None
    file.write_bytes(data if data is not None else json.dumps(document).encode())
    return config.load(file)


def problems(folder: Path, document: Any, **arguments: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, document, **arguments)
    assert caught.value.exit_code == EXIT_CONFIG
    starts = f"{folder}/{arguments.get('name', 'config.json')}: "
    assert all(problem.startswith(starts) for problem in caught.value.problems)
    return [problem.removeprefix(starts) for problem in caught.value.problems]


def section(**changes: Any) -> dict[str, Any]:
    return {"monitor": [{**LEAST["monitor"][0], **changes}]}


def test_the_seeds_example(tmp_path):
    found = load(tmp_path, EXAMPLE)
    assert found == MonitorConfig(
        file=tmp_path / "config.json",
        max_cores=2,
        max_threads=8,
        max_age=48,
        log_level=20,
        log_dir=Path("/var/log/s3_upload"),
        slack_log_webhook=SECRET,
        slack_alert_webhook="https://hooks.slack.com/services/T0/B0/alert",
        monitor=(
            Section(
                monitored_directories=(
                    Path("/absolute/path/to/sequencer_1"),
                    Path("/absolute/sequencer_2"),
                ),
                bucket="bucket-a",
                prefix="",
                sample_regex="_assay_1_code_|_assay_code_2_",
                exclude_patterns=("Thumbnail_Images", r"\.png$"),
            ),
            Section(
                monitored_directories=(Path("/absolute/path/to/sequencer_3"),),
                bucket="bucket-b",
                prefix="sequencer_3_runs/",
            ),
        ),
    )


def test_what_may_be_left_out(tmp_path):
    """The seed's bug 4: without max_cores it ended in a TypeError."""
    found = load(tmp_path, LEAST)
    assert (found.max_cores, found.max_threads, found.max_age) == (None, 4, 72)
    assert (found.log_level, found.log_dir) == (20, Path("/var/log/s3_upload"))
    assert (found.slack_log_webhook, found.slack_alert_webhook) == (None, None)
    only = found.monitor[0]
    assert (only.sample_regex, only.exclude_patterns, only.complete) == (None, (), ())
    assert (only.depth, only.settle) == (1, 0)


def test_null_and_empty_are_as_good_as_not_there(tmp_path):
    keys = ["max_cores", "max_threads", "max_age", "log_level", "log_dir"]
    document = dict.fromkeys(keys) | section(sample_regex=None, exclude_patterns=None)
    document |= {"slack_log_webhook": None, "slack_alert_webhook": ""}
    assert load(tmp_path, document) == load(tmp_path, LEAST)
    assert load(tmp_path, section(sample_regex="", exclude_patterns=[])) == load(tmp_path, LEAST)


def test_the_same_in_toml(tmp_path):
    text = rf"""
max_cores = 2
max_threads = 8
max_age = 48
log_level = "info"
log_dir = "/var/log/s3_upload"
slack_log_webhook = "{SECRET}"
slack_alert_webhook = "https://hooks.slack.com/services/T0/B0/alert"

[[monitor]]
monitored_directories = ["/absolute/path/to/sequencer_1", "/absolute/sequencer_2"]
bucket = "bucket-a"
remote_path = "/"
sample_regex = "_assay_1_code_|_assay_code_2_"
exclude_patterns = ["Thumbnail_Images", '\.png$']

[[monitor]]
monitored_directories = ["/absolute/path/to/sequencer_3"]
bucket = "bucket-b"
remote_path = "sequencer_3_runs/"
"""
    found = load(tmp_path, text.encode("utf-8-sig"), name="config.TOML")
    other = load(tmp_path, json.dumps(EXAMPLE).encode("utf-8-sig"))
    assert found.monitor == other.monitor
    assert {found.file, other.file} == {tmp_path / "config.TOML", tmp_path / "config.json"}
    for key in ("max_cores", "max_age", "log_level", "log_dir", "slack_log_webhook"):
        assert getattr(found, key) == getattr(other, key)


def test_more_than_the_seed_had(tmp_path):
    found = load(tmp_path, section(depth=2, settle=900.5, complete=["Done.txt", "logs/x"]))
    only = found.monitor[0]
    assert (only.depth, only.settle, only.complete) == (2, 900.5, ("Done.txt", "logs/x"))


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("info", 20), ("Debug", 10), ("WARN", 30), ("warning", 30), ("ERROR", 40),
        ("critical", 50), ("NOTSET", 0), (10, 10), (35, 35), (0, 0),
    ],
)  # fmt: skip
def test_levels_in_any_case(tmp_path, value, level):
    assert load(tmp_path, {**LEAST, "log_level": value}).log_level == level


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/", ""), ("//", ""), ("/runs", "runs/"), ("runs", "runs/"), ("runs/", "runs/"),
        ("/a/b/", "a/b/"), ("/a b/ü", "a b/ü/"),
    ],
)  # fmt: skip
def test_paths_in_the_bucket(tmp_path, value, prefix):
    assert load(tmp_path, section(remote_path=value)).monitor[0].prefix == prefix


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQ", "/seq")
    monkeypatch.setenv("HOME", "/home/me")
    given = ["/a", "/a/", "b", "~/c", "$SEQ/d"]
    as_json = load(tmp_path, section(monitored_directories=given)).monitor[0]
    assert as_json.monitored_directories == (
        Path("/a"), tmp_path / "b", tmp_path / "~/c", tmp_path / "$SEQ/d"
    )  # fmt: skip
    lines = f"[[monitor]]\nbucket = 'bucket-a'\nremote_path = '/'\nmonitored_directories = {given}"
    as_toml = load(tmp_path, lines.encode(), name="config.toml").monitor[0]
    assert as_toml.monitored_directories == (
        Path("/a"), tmp_path / "b", Path("/home/me/c"), Path("/seq/d")
    )  # fmt: skip


def test_folders_that_are_not_there_are_no_mistake(tmp_path):
    found = load(tmp_path, section(monitored_directories=[str(tmp_path / "not yet")]))
    assert found.monitor[0].monitored_directories == (tmp_path / "not yet",)


def test_each_webhook_stands_in_for_the_other(tmp_path):
    for key in ("slack_log_webhook", "slack_alert_webhook"):
        found = load(tmp_path, {**LEAST, key: SECRET})
        assert (found.slack_log_webhook, found.slack_alert_webhook) == (SECRET, SECRET)
    found = load(tmp_path, {**LEAST, "slack_log_webhook": "$SLACK"})
    assert found.slack_alert_webhook == "$SLACK"


def test_no_webhook_is_ever_shown(tmp_path):
    assert "s3cr3t" not in repr(load(tmp_path, EXAMPLE))
    for value in ("s3cr3t", "ftp://s3cr3t", "https://u:s3cr3t@host/", ["s3cr3t"], {"a": "s3cr3t"}):
        found = problems(tmp_path, {**LEAST, "slack_log_webhook": value})
        assert len(found) == 1
        assert found[0].startswith("slack_log_webhook: ")
        assert "s3cr3t" not in found[0]


def test_all_mistakes_at_once_and_where_they_are(tmp_path):
    document = {
        "max_cores": "2",
        "max_threads": True,
        "max_age": -1,
        "max_agee": 72,
        "log_level": "inf",
        "log_dir": "",
        "bucket": "bucket-a",
        "nonsense": 1,
        "monitor": [
            {"monitored_directories": ["/a"], "bucket": "bucket-a", "remote_path": "/"},
            {
                "monitored_directories": "/a",
                "bucket": "Bucket_A",
                "sample_regex": "(",
                "exclude_patterns": "x",
                "exclude_pattern": ["x"],
                "max_age": 3,
            },
            "/a",
            {
                "monitored_directories": ["/a", 7, "", "/b\n"],
                "bucket": ["x"],
                "remote_path": "a//b",
                "exclude_patterns": ["a", "[", 3, ""],
                "depth": 0,
                "settle": float("nan"),
                "complete": ["../x", "ok", ""],
            },
        ],
    }
    assert problems(tmp_path, document) == [
        "max_cores: found text; allowed: a whole number, at least 1",
        "max_threads: found true or false; allowed: a whole number, at least 1",
        "max_age: -1 is not allowed; allowed: a number, at least 0",
        'max_agee: unknown key; did you mean "max_age"?',
        'log_level: "inf" is not allowed; did you mean "INFO"? allowed: "DEBUG", "INFO", '
        '"WARNING", "ERROR", "CRITICAL", or a whole number from 0 to 50',
        'log_dir: "" is not allowed; allowed: a folder',
        "bucket: unknown key here; it is for a section of monitor, as bucket",
        "nonsense: unknown key; allowed: max_cores, max_threads, max_age, log_level, log_dir, "
        "slack_log_webhook, slack_alert_webhook, command, command_timeout, manifests, monitor",
        "monitor[1].monitored_directories: found text; allowed: a list of folders, not empty",
        'monitor[1].bucket: "Bucket_A" is not the name of a bucket; allowed: 3 to 63 lower-case '
        "letters, digits, dots and hyphens, with a letter or a digit at both ends",
        'monitor[1].sample_regex: "(" is not a regular expression: missing ), unterminated '
        "subpattern at position 0",
        "monitor[1].exclude_patterns: found text; allowed: a list of regular expressions",
        'monitor[1].exclude_pattern: unknown key; did you mean "exclude_patterns"?',
        "monitor[1].max_age: unknown key here; it is for the top of the file, as max_age",
        'monitor[1].remote_path: missing; allowed: a path in the bucket; "/" is its top',
        "monitor[2]: found text; allowed: a section, which is a table",
        "monitor[3].monitored_directories[1]: found a whole number; allowed: a folder",
        'monitor[3].monitored_directories[2]: "" is not allowed; allowed: a folder',
        "monitor[3].monitored_directories[3]: the path holds a control character",
        "monitor[3].bucket: found a list of 1; allowed: the name of a bucket",
        'monitor[3].remote_path: has "//", "." or ".." in it, which S3 takes literally',
        'monitor[3].exclude_patterns[1]: "[" is not a regular expression: unterminated character '
        "set at position 0",
        "monitor[3].exclude_patterns[2]: found a whole number; allowed: a regular expression",
        'monitor[3].exclude_patterns[3]: "" is not allowed; allowed: a regular expression',
        "monitor[3].depth: 0 is not allowed; allowed: a whole number from 1 to 8",
        "monitor[3].settle: found an infinite number or none; allowed: a number, at least 0",
        "monitor[3].complete[0]: is not the path of a file within a run",
        'monitor[3].complete[2]: "" is not allowed; allowed: the name of a file',
    ]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("max_cores", 0, "0 is not allowed; allowed: a whole number, at least 1"),
        ("max_cores", -2, "-2 is not allowed; allowed: a whole number, at least 1"),
        ("max_cores", 1.5, "found a number; allowed: a whole number, at least 1"),
        ("max_threads", 0, "0 is not allowed; allowed: a whole number, at least 1"),
        ("max_age", True, "found true or false; allowed: a number, at least 0"),
        ("max_age", float("inf"), "found an infinite number or none; allowed: a number, at l"),
        ("max_age", "72", "found text; allowed: a number, at least 0"),
        ("log_level", 51, "51 is not allowed; allowed: "),
        ("log_level", True, "found true or false; allowed: "),
        ("log_level", "verbose", '"verbose" is not allowed; '),
        ("log_dir", 7, "found a whole number; allowed: a folder"),
        ("monitor", {}, "found an empty table; allowed: a list of sections, not empty"),
        ("monitor", [], "found an empty list; allowed: a list of sections, not empty"),
        ("monitor", None, "missing; allowed: a list of sections, not empty"),
        ("Monitor", [], 'unknown key; did you mean "monitor"?'),
        ("x", json.loads("[" * 600 + "]" * 600), "unknown key; allowed: max_cores, "),
    ],
)
def test_one_mistake_at_the_top(tmp_path, key, value, says):
    found = problems(tmp_path, {**LEAST, key: value})
    assert [problem.startswith(f"{key}: {says}") for problem in found] == [True], found


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("monitored_directories", [], "found an empty list; allowed: a list of folders, not em"),
        ("monitored_directories", None, "missing"),
        ("bucket", "", '"" is not allowed; allowed: the name of a bucket'),
        ("bucket", "s3://bucket-a/x", '"s3://bucket-a/x" is not the name of a bucket; '),
        ("remote_path", "", '"" is not allowed; allowed: a path in the bucket; "/" is its top'),
        ("remote_path", None, "missing"),
        ("remote_path", "s3://bucket-a/x", "is an address; write the bucket into "),
        ("remote_path", "a/../b", 'has "//", "." or ".." in it'),
        ("remote_path", "a\tb", "the path holds a control character"),
        ("remote_path", 1, "found a whole number; allowed: a path in the bucket"),
        ("remote_path", "./a", 'has "//", "." or ".." in it'),
        ("sample_regex", ["x"], "found a list of 1; allowed: a regular expression"),
        ("sample_regex", " ", '" " is not allowed; allowed: a regular expression'),
        ("settle", -1, "-1 is not allowed; allowed: a number, at least 0"),
        ("complete", "Done.txt", "found text; allowed: a list of names of files"),
        ("depht", 2, 'unknown key; did you mean "depth"?'),
        ("prefix", None, "unknown key; allowed: monitored_directories, bucket, remote_path, "),
        ("secret_key", "s3cr3t", "unknown key; credentials come only from the AWS chain"),
    ],
)
def test_one_mistake_in_a_section(tmp_path, key, value, says):
    found = problems(tmp_path, section(**{key: value}))
    assert [problem.startswith(f"monitor[0].{key}: {says}") for problem in found] == [True], found


def test_a_key_that_stands_twice(tmp_path):
    data = json.dumps(LEAST).replace('"bucket"', '"bucket": "other", "bucket"').encode()
    assert problems(tmp_path, data) == ["bucket: stands twice in one table"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("config.json", b"", "not valid JSON: line 1, column 1: Expecting value"),
        ("config.json", b'{"monitor": [}', "not valid JSON: line 1, column 14: Expecting value"),
        ("config.json", b"[]", "found an empty list; allowed: a table of settings"),
        ("config.json", b"\xff{}", "byte 0 is not UTF-8; save the file as UTF-8"),
        ("config.json", b"[" * 100_000, "is nested too deeply"),
        ("config.json", b'{"max_cores": ' + b"9" * 5_000 + b"}", "cannot be read: Exceeds the li"),
        ("config.toml", b"monitor = ", "not valid TOML: Invalid value"),
        ("config.toml", b"a = 1\na = 2", "not valid TOML: Cannot overwrite a value"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, name, data, says):
    found = problems(tmp_path, data, name=name)
    assert [problem.startswith(says) for problem in found] == [True], found


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.json: no such file"):
        config.load(tmp_path / "gone.json")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)
