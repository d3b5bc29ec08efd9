"""``waybill doctor`` against a real S3 server: what is right, what is not, and that it only
looks."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from doors import Door

from support.proxy import (
    SetHeaders,
    Stall,
    access_denied,
    expired_token,
    signature_mismatch,
    wrong_region,
)
from support.server import ACCESS_KEY, HOST, SECRET_KEY

TOKEN = "FwoGZXIvYXdzEBYaDwaybilltoken"


@pytest.fixture
def work(door: Door, tmp_path: Path) -> Path:
    """A folder with a configuration of an upload and a download; the bucket has one object."""
    folder = tmp_path / "work"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.toml").write_text(
        f"""
[transfers.up]
source = "{door.data}"
destination = "s3://{door.bucket}/data/"
[transfers.down]
source = "s3://{door.bucket}/data/"
destination = "{tmp_path}/new/folder"
"""
    )
    door.write("a.bin", 100)
    door.proxy.client().put_object(Bucket=door.bucket, Key="data/a.bin", Body=b"a")
    door.proxy.clear()
    return folder


def doctor(
    door: Door, work: Path, *arguments: str, code: int = 0, **extra: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of ``waybill doctor --json`` without SLURM, by (scope or transfer, check)."""
    given = ("doctor", "--json", "--local", *arguments)
    said = door.run(*given, command="main", cwd=work, code=code, **extra)
    assert said.err == ""
    for secret in (SECRET_KEY, ACCESS_KEY, TOKEN):
        assert secret not in said.all
    document = json.loads(said.out)
    assert document["exit_code"] == code
    assert {request.method for request in said.requests} <= {"GET", "HEAD"}
    keys = ["scope", "transfer", "check", "verdict", "found", "set"]
    assert all(list(row) == keys for row in document["rows"])
    return {(row["transfer"] or row["scope"], row["check"]): row for row in document["rows"]}


def tree(*folders: Path) -> set[tuple[str, int]]:
    return {
        (str(path), path.lstat().st_mtime_ns)
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


def verdicts(rows: dict[tuple[str, str], dict[str, Any]], name: str) -> dict[str, str]:
    return {check: row["verdict"] for (of, check), row in rows.items() if of == name}


S3_SIDE = {
    "credentials": "ok", "credentials end": "ok", "reach": "ok", "clock": "ok", "region": "-",
    "right to list": "ok", "right to read": "ok",
}  # fmt: skip
RESULTS = {"results": "ok", "locks": "ok"}


def test_all_is_right_and_only_looked_at(door: Door, work: Path, tmp_path: Path) -> None:
    before = tree(work, door.data)
    rows = doctor(door, work)
    assert verdicts(rows, "up") == {"source": "ok", **RESULTS, **S3_SIDE, "right to write": "-"}
    assert verdicts(rows, "down") == {"destination": "ok", **RESULTS, **S3_SIDE}
    machine = verdicts(rows, "machine")
    machine.pop("code")  # another copy may be installed
    assert set(machine.values()) == {"ok"}
    assert rows["configuration", "configuration"]["verdict"] == "ok"
    assert rows["up", "credentials"]["found"] == "found by provider env"
    assert rows["up", "right to read"]["found"] == f"s3://{door.bucket}/data/a.bin"
    lists = [r for r in door.proxy.select(op="ListObjectsV2") if r.query["max-keys"] == "1"]
    assert len(lists) == door.proxy.count(op="ListObjectsV2") == 2
    assert tree(work, door.data) == before
    assert not (tmp_path / "new").exists()


def test_the_table(door: Door, work: Path) -> None:
    said = door.run("doctor", "--local", "--transfers", "up", command="main", cwd=work)
    lines = said.out.splitlines()
    assert [line for line in lines if not line.startswith("  ")][:-1] == [
        "machine", "transfer up", "configuration",
    ]  # fmt: skip
    assert any(
        line.split() == ["credentials", "ok", "found", "by", "provider", "env"] for line in lines
    )
    assert lines[-1].endswith("right, 2 not told")
    assert "doctor" in door.run("--help", command="main", cwd=work).out


def test_without_a_configuration(door: Door, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    rows = doctor(door, tmp_path / "bare")
    assert {of for of, _ in rows} == {"machine", "configuration"}
    assert rows["configuration", "configuration"]["verdict"] == "-"
    assert "no transfer was looked at" in rows["configuration", "configuration"]["found"]
    assert rows["machine", "locks"]["verdict"] == "ok"
    named = doctor(door, tmp_path / "bare", "--config", "none.toml", code=2)
    assert named["configuration", "configuration"]["found"] == "none.toml: no such file"
    assert named["machine", "python"]["verdict"] == "ok"


def test_a_mistake_in_the_configuration_hides_nothing(door: Door, work: Path) -> None:
    (work / "config" / "config.toml").write_text('[transfers.a]\nsource = "x"\nsecret = "hush"\n')
    said = door.run("doctor", "--local", command="main", cwd=work, code=2)
    assert "destination" in said.out
    assert "secret" in said.out
    assert "hush" not in said.all
    assert "python" in said.out


def test_a_user_who_may_not_list(door: Door, work: Path) -> None:
    door.proxy.fault(access_denied(), op="ListObjectsV2")
    rows = doctor(door, work, code=1)
    row = rows["up", "right to list"]
    assert row["verdict"] == "fail"
    assert "access denied to ListObjectsV2" in row["found"]
    assert row["set"] == "ask for the permission or use other credentials"
    assert rows["up", "reach"]["verdict"] == rows["up", "clock"]["verdict"] == "ok"
    assert ("up", "right to read") not in rows


def test_a_user_who_may_not_read(door: Door, work: Path) -> None:
    """A download needs the right; an upload only to compare an object with a file."""
    door.proxy.fault(access_denied(), op="HeadObject")
    rows = doctor(door, work, code=1)
    assert rows["down", "right to read"]["verdict"] == "fail"
    assert rows["up", "right to read"]["verdict"] == "warn"
    assert "access denied to HeadObject" in rows["up", "right to read"]["found"]
    doctor(door, work, "--transfers", "up", code=0)


def test_an_empty_prefix_tells_nothing_of_reading(door: Door, work: Path) -> None:
    door.proxy.straight().delete_object(Bucket=door.bucket, Key="data/a.bin")
    rows = doctor(door, work)
    assert rows["down", "right to read"]["verdict"] == "-"


@pytest.mark.parametrize(
    ("minutes", "verdict"), [(-3, "warn"), (3, "warn"), (-20, "fail"), (20, "fail")]
)
def test_a_clock_that_is_wrong(door: Door, work: Path, minutes: int, verdict: str) -> None:
    there = datetime.now(UTC) - timedelta(minutes=minutes, seconds=2)
    door.proxy.fault(SetHeaders({"date": format_datetime(there, usegmt=True)}))
    rows = doctor(door, work, code=1 if verdict == "fail" else 0)
    assert rows["up", "clock"]["verdict"] == verdict
    assert ("ahead of" in rows["up", "clock"]["found"]) == (minutes > 0)


def test_a_server_without_a_clock(door: Door, work: Path) -> None:
    door.proxy.fault(SetHeaders({"date": None}))
    assert doctor(door, work)["up", "clock"]["verdict"] == "-"


def test_a_bucket_in_another_region(door: Door, work: Path) -> None:
    door.proxy.fault(SetHeaders({"x-amz-bucket-region": "eu-west-1"}))
    row = doctor(door, work)["up", "region"]
    assert (row["verdict"], row["set"]) == ("warn", 'set region = "eu-west-1"')
    door.proxy.faults.clear()
    door.proxy.fault(wrong_region("eu-west-1", 400))
    row = doctor(door, work, code=1)["up", "region"]
    assert (row["verdict"], row["set"]) == ("fail", 'set region = "eu-west-1"')


@pytest.mark.parametrize("answer", [expired_token(), signature_mismatch()], ids=lambda a: a.code)
def test_credentials_that_s3_refuses(door: Door, work: Path, answer: Any) -> None:
    door.proxy.fault(answer)
    rows = doctor(door, work, code=1)
    assert rows["up", "right to list"]["verdict"] == "fail"
    assert "credentials" in rows["up", "right to list"]["found"]
    assert rows["up", "reach"]["verdict"] == "ok"


def test_no_credentials(door: Door, work: Path) -> None:
    rows = doctor(door, work, code=1, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert rows["up", "credentials"]["found"] == "no AWS credentials found"
    assert "AWS_PROFILE" in rows["up", "credentials"]["set"]
    assert rows["up", "source"]["verdict"] == rows["up", "results"]["verdict"] == "ok"
    assert door.proxy.requests == []


def test_a_profile_that_does_not_exist(door: Door, work: Path) -> None:
    rows = doctor(door, work, code=1, AWS_PROFILE="nope")
    assert (
        rows["up", "credentials"]["found"] == "AWS profile 'nope' (AWS_PROFILE) is not configured"
    )


@pytest.mark.parametrize(
    ("hours", "verdict"), [(-1, "fail"), (2, "warn"), (48, "ok")], ids=["ended", "soon", "late"]
)
def test_the_end_of_credentials(door: Door, work: Path, hours: int, verdict: str) -> None:
    end = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    extra = {"AWS_CREDENTIAL_EXPIRATION": end, "AWS_SESSION_TOKEN": TOKEN}
    rows = doctor(door, work, code=1 if hours < 0 else 0, **extra)
    assert rows["up", "credentials end"]["verdict"] == verdict
    if hours < 0:
        assert rows["up", "bucket"]["verdict"] == "-"
        assert door.proxy.requests == []


def test_an_end_that_is_no_time(door: Door, work: Path) -> None:
    row = doctor(door, work, code=1, AWS_CREDENTIAL_EXPIRATION="soon")["up", "credentials"]
    assert (row["verdict"], row["set"]) == (
        "fail",
        "correct AWS_CREDENTIAL_EXPIRATION, and run again",
    )


def profiles(work: Path) -> dict[str, str]:
    """The variables for profiles of several providers."""
    (work / "aws").write_text(
        f"""
[profile fixed]
aws_access_key_id = {ACCESS_KEY}
aws_secret_access_key = {SECRET_KEY}
aws_session_token = {TOKEN}
x_security_token_expires = {(datetime.now(UTC) + timedelta(hours=3)).isoformat()}
[profile process]
credential_process = {work}/process
[profile broken]
credential_process = /bin/false
[profile coded]
role_arn = arn:aws:iam::123456789012:role/r
source_profile = fixed
mfa_serial = arn:aws:iam::123456789012:mfa/ada
"""
    )
    answer = {
        "Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY,
        "SessionToken": TOKEN, "Expiration": (datetime.now(UTC) + timedelta(hours=3)).isoformat(),
    }  # fmt: skip
    (work / "process").write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(answer)}\nE\n")
    (work / "process").chmod(0o755)
    return {
        "AWS_CONFIG_FILE": str(work / "aws"), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
    }  # fmt: skip


def test_providers_are_named_and_nothing_of_their_keys(door: Door, work: Path) -> None:
    extra = profiles(work)
    rows = doctor(door, work, AWS_PROFILE="fixed", **extra)
    assert rows["up", "credentials"]["found"] == "found by provider config-file, profile fixed"
    assert rows["up", "credentials end"]["verdict"] == "warn"
    rows = doctor(door, work, AWS_PROFILE="process", **extra)
    assert rows["up", "credentials"]["found"] == "found by provider custom-process, profile process"
    assert "renews" in rows["up", "credentials end"]["found"]
    rows = doctor(door, work, code=1, AWS_PROFILE="broken", **extra)
    assert rows["up", "credentials"]["verdict"] == "fail"


def test_a_profile_with_a_second_factor_asks_nobody(door: Door, work: Path) -> None:
    rows = doctor(door, work, code=1, AWS_PROFILE="coded", **profiles(work))
    row = rows["up", "credentials"]
    assert row["verdict"] == "fail"
    assert "profile coded asks for an MFA code" in row["found"]
    assert door.proxy.requests == []


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server((HOST, 0)) as listening:
        yield f"http://{HOST}:{listening.getsockname()[1]}"


def test_an_endpoint_that_is_dead(door: Door, work: Path) -> None:
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    rows = doctor(door, work, code=1, AWS_ENDPOINT_URL=f"http://u:hush@{HOST}:{port}")
    assert rows["up", "reach"]["verdict"] == "fail"
    assert f"cannot reach http://{HOST}:{port}" in rows["up", "reach"]["found"]
    assert rows["up", "bucket"]["verdict"] == "-"
    assert "2 attempts of at most 10 s" in rows["up", "bucket"]["found"]
    assert "hush" not in json.dumps([*rows.values()])
    assert rows["up", "source"]["verdict"] == "ok"


def test_an_endpoint_that_does_not_answer(door: Door, work: Path, deaf: str) -> None:
    """The limits end it long before Waybill itself would give up (6 attempts of 60 s)."""
    begun = time.monotonic()
    rows = doctor(door, work, code=1, AWS_ENDPOINT_URL=deaf)
    assert time.monotonic() - begun < 100
    assert rows["up", "reach"]["verdict"] == "fail"


def test_one_answer_that_is_slow(door: Door, work: Path) -> None:
    door.proxy.fault(Stall(3), op="HeadObject")
    rows = doctor(door, work, code=1)
    assert rows["up", "right to list"]["verdict"] == "ok"
    assert rows["up", "right to read"]["verdict"] == "fail"


def test_a_source_and_results_that_cannot_be_used(door: Door, work: Path) -> None:
    toml = work / "config" / "config.toml"
    text = toml.read_text().replace(f'"{door.data}"', '"/nowhere/data"')
    (work / "file").touch()
    toml.write_text(f'{text}\n[defaults]\nresults = "{work}/file/results"\n')
    rows = doctor(door, work, code=1)
    assert rows["up", "source"]["found"] == "/nowhere/data: No such file or directory"
    assert rows["up", "results"]["verdict"] == "fail"
    assert rows["up", "right to list"]["verdict"] == "ok"


def test_a_locale_that_snakemake_refuses(door: Door, work: Path) -> None:
    """The command mends it for itself, and says that Snakemake will not."""
    extra = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    row = doctor(door, work, **extra)["machine", "locale"]
    assert row["verdict"] == "warn"
    assert "the locale (LC_ALL=C) is " in row["found"]
    assert "PYTHONUTF8=1" in row["set"]
