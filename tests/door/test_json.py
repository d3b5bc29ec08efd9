"""`--json`: what a program reads is what the schema says, and what the screen says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
from doors import Door, Spoken

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "workflow" / "schemas" / "output.schema.json").read_text())


def valid(text: str) -> Any:
    """The JSON in a text, which the schema takes."""
    found = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    return found


def test_every_command(door: Door, tmp_path: Path) -> None:
    """From the plan to the verification of one transfer that goes well and one that cannot."""
    work = tmp_path / "work"
    (work / "config").mkdir(parents=True)
    toml = work / "config" / "config.toml"
    toml.write_text(
        f"""
[defaults]
settle = 1
[transfers.t]
source = "{door.data}"
destination = "s3://{door.bucket}/p/"
verify.depth = "metadata"
notify.slack_log_webhook = "https://hooks.example.org/hush"
[transfers.lost]
source = "{door.data}"
destination = "s3://no-such-bucket-{door.bucket}/"
"""
    )
    a, b = door.write("a.bin", 100), door.write("sub/b.bin", 200)

    def waybill(*words: str, code: int = 0) -> Spoken:
        return door.run(*words, command="main", cwd=work, code=code)

    told = valid(waybill("plan", "--json", "--transfers", "t").out)
    assert (told["command"], told["exit_code"], told["problems"]) == ("plan", 0, [])
    (one,) = told["transfers"]
    assert (one["name"], one["files"]["move"], one["bytes"]) == ("t", 2, 300)
    assert [(e["path"], e["size"], e["what"]) for e in one["entries"]] == [
        ("a.bin", 100, "new"), ("sub/b.bin", 200, "new"),
    ]  # fmt: skip

    said = waybill("run", "--json", code=2)
    assert "no terminal to ask on: add --yes" in said.err
    events = [valid(line) for line in waybill("run", "--json", "--yes", code=1).out.splitlines()]
    names = [event["event"] for event in events]
    assert names == ["begin", "problem", "plan", "outcome", "end"]
    assert "never creates buckets" in events[1]["text"]
    outcome = events[3]["transfer"]
    assert (outcome["standing"], outcome["files"], outcome["moved_bytes"]) == ("proven", 2, 300)
    assert events[-1]["exit_code"] == 1

    told = valid(waybill("status", "--json", code=1).out)
    assert [t["standing"] for t in told["transfers"]] == ["proven", "failed"]
    assert "never creates buckets" in told["transfers"][1]["failures"][0]["message"]

    door.proxy.client().put_object(Bucket=door.bucket, Key="p/a.bin", Body=b"other")
    told = valid(waybill("verify", "--json", "--transfers", "t", code=1).out)
    (one,) = told["transfers"]
    assert (one["depth"], one["files"], one["agree"]) == ("metadata", 2, 1)
    assert [(f["status"], f["path"], f["fails"]) for f in one["findings"]] == [("*", "a.bin", True)]

    listed = tmp_path / "list"
    listed.write_text(
        f"{hashlib.sha256(a.read_bytes()).hexdigest()}  a.bin\n{'0' * 64}  {b.name}\n"
    )
    told = valid(waybill("verify", "--json", "--against", str(listed), str(door.data), code=1).out)
    assert (told["folder"], told["agree"]) == (str(door.data), 1)
    assert {f["path"] for f in told["findings"]} == {"b.bin", "sub/b.bin"}

    text = waybill("config", "--json").out
    assert "hush" not in text
    settings = valid(text)["transfers"][0]["settings"]
    assert settings["settle"] == {"value": 1, "from": "config/config.toml: defaults"}
    assert settings["verify.depth"] == {
        "value": "metadata", "from": "config/config.toml: transfers.t",
    }  # fmt: skip
    assert settings["compare"] == {"value": "sha256", "from": "default"}
    assert valid(waybill("find", "--json", "sub/b.bin", "--transfers", "t").out)[0]["size"] == 200
    told = valid(waybill("doctor", "--json", "--local", "--transfers", "t", code=None).out)
    assert told["command"] == "doctor"

    toml.write_text("[transfers.t]\nsource = data\n")
    for command in ("plan", "run", "status", "verify", "config"):
        told = valid(waybill(command, "--json", code=2).out)
        assert (told["command"], told["exit_code"]) == (command, 2)
        assert told["problems"][0].endswith('a text stands in quotes; write source = "data"')


def test_the_examples_of_the_page_are_of_the_schema() -> None:
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    (document,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert valid(document)["command"] == "status"
    (lines,) = re.findall(r"```text\n(\{.*?)```", page, re.DOTALL)
    assert [valid(line)["event"] for line in lines.splitlines()] == [
        "begin",
        "plan",
        "outcome",
        "end",
    ]
