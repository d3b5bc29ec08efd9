"""`waybill init`: a configuration from options or answers, each looked at before it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

from doors import Door, Spoken


def init(door: Door, work: Path, *words: str, code: int = 0) -> Spoken:
    return door.run("init", *words, command="main", cwd=work, code=code)


def test_options(door: Door, tmp_path: Path) -> None:
    """Both sides are looked at; where a run would not work, nothing is written."""
    work = tmp_path / "work"
    work.mkdir()
    door.write("a.bin")
    places = ["--source", str(door.data), "--destination"]
    said = init(door, work, *places, f"s3://{door.bucket}/p/", "--set", "settle=60")
    assert said.out.splitlines()[-1] == "Written to config/config.toml; next: `waybill plan`"
    assert said.out.startswith("transfer data\n")
    assert [r.op for r in said.requests if r.method in ("PUT", "DELETE")] == []
    written = (work / "config" / "config.toml").read_text()
    assert tomllib.loads(written) == {
        "transfers": {
            "data": {
                "source": str(door.data), "destination": f"s3://{door.bucket}/p/", "settle": 60,
            }
        }
    }  # fmt: skip
    said = door.run("plan", "--json", command="main", cwd=work)
    assert '"path": "a.bin"' in said.out

    said = init(door, work, *places, f"s3://{door.bucket}/p/", code=2)
    assert "is there already; nothing written" in said.err
    said = init(door, work, "b.toml", *places, f"s3://no-{door.bucket}/p/", code=1)
    assert "does not exist" in said.out
    assert said.err == ("waybill: b.toml: nothing written; --no-check writes it without a look\n")
    said = init(
        door, work, "b.toml", "--source", "nowhere", *places[2:], f"s3://{door.bucket}/", code=1
    )
    assert "nowhere" in said.out
    assert not (work / "b.toml").exists()
    said = init(door, work, "b.toml", *places[:2], code=2)
    assert (
        said.err == "waybill: destination: missing; a transfer needs a source and a destination\n"
    )
    init(door, work, "b.toml", *places, f"s3://no-{door.bucket}/p/", "--no-check", "--name", "x")
    assert list(tomllib.loads((work / "b.toml").read_text())["transfers"]) == ["x"]


def test_answers(door: Door, tmp_path: Path) -> None:
    """A wrong answer is asked for again; the plan is the next command."""
    work = tmp_path / "work"
    work.mkdir()
    door.write("a.bin")
    with door.talk("init", command="main", cwd=work) as talk:
        talk.expect("[generic]: ")
        talk.type("ilumina\n")
        talk.expect("Source (a folder, or s3://bucket/prefix/): ")
        talk.type(f"{door.data}\n")
        talk.expect("Destination (s3://bucket/prefix/, or a folder): ")
        talk.type("\n")
        talk.expect("Destination (s3://bucket/prefix/, or a folder): ")
        talk.type(f"s3://{door.bucket}//p/\n")
        talk.expect('did you mean "illumina"?')
        talk.expect("preset: ")
        talk.type("generic\n")
        talk.expect("destination: ")
        talk.type(f"s3://{door.bucket}/p/\n")
        assert "next: `waybill plan`" in talk.end(0).out
    written = tomllib.loads((work / "config" / "config.toml").read_text())
    assert written["transfers"]["data"]["destination"] == f"s3://{door.bucket}/p/"
