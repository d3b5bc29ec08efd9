"""``waybill copy`` as people type it: a transfer without a file, there and back."""

from __future__ import annotations

from pathlib import Path

from doors import Door


def test_there_and_back(door: Door, tmp_path: Path) -> None:
    """The second copy of the same places moves nothing; what the first one wrote can be run."""
    work = tmp_path / "work"
    work.mkdir()
    door.write("sub/a.bin", 5000)
    there = f"s3://{door.bucket}/there/"
    said = door.run("copy", str(door.data), there, command="main", cwd=work, code=2)
    assert "no terminal to ask on: add --yes" in said.err
    (file,) = work.glob("results/data-*.toml")
    assert said.out.startswith(f"Settings: results/{file.name}\n")
    said = door.run("copy", str(door.data), there, "--yes", command="main", cwd=work)
    assert said.puts("*.bin") == ["there/sub/a.bin"]
    assert f"{file.stem}: 1 files, 4.9 KiB: all proven in {there}; 1 moved" in said.out
    said = door.run("run", "--yes", "--config", str(file), command="main", cwd=work)
    assert "nothing to move" in said.out
    assert said.puts("*") == []

    back = work / "back"
    one = f"{there}sub/a.bin"
    said = door.run("copy", one, "back", "--yes", command="main", cwd=work)
    assert (back / "a.bin").read_bytes() == (door.data / "sub" / "a.bin").read_bytes()
    assert [path.name for path in back.iterdir()] == ["a.bin"]
