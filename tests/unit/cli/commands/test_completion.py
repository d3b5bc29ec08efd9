"""`waybill completion`: scripts that the shells take, made from the commands themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from waybill.cli.commands.completion import SHELLS
from waybill.cli.main import COMMANDS, main


def script(capsys: pytest.CaptureFixture[str], shell: str) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_its_script(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str
) -> None:
    text = script(capsys, shell)
    for word in (*COMMANDS, "aws-profile", "dry-run"):
        assert word in text
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here to read the script")
    file = tmp_path / "script"
    file.write_text(text)
    done = subprocess.run([shell, "-n", file], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_bash_completes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script(capsys, "bash"))
    (tmp_path / "some.toml").touch()

    def words(*typed: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in ("waybill", *typed))
        code = (
            f"source ./script; COMP_WORDS=({line}); COMP_CWORD={len(typed)}; _shtab_waybill;"
            ' echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, check=True)
        return done.stdout.decode().split()

    assert words("co") == ["copy", "config", "completion"]
    assert words("run", "--pro") == ["--profile"]
    assert words("completion", "f") == ["fish"]
    assert words("run", "--config", "so") == ["some.toml"]
