"""`waybill.cli.terminal.Screen` on streams of other kinds than a terminal's."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from waybill.cli.terminal import Screen, guarded

SCRIPTS = Path(__file__).parents[3] / "scripts"


def test_a_stream_without_an_encoding_takes_lines():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        screen = Screen("waybill")
        screen.line("proven")
        screen.problem("failed")
    assert out.getvalue() == "proven\n"
    assert "failed" in err.getvalue()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_does_not_end_the_command(tmp_path: Path, stream: str) -> None:
    """Neither a traceback nor a word, and the exit code is that of the command."""
    code = (
        "import sys; from waybill.cli.terminal import guarded\n"
        "def command(screen):\n"
        "    for _ in range(3000):\n"
        "        screen.line('x' * 100); screen.note('y' * 100)\n"
        "    open('done', 'w').close()\n"
        "    return 3\n"
        "sys.exit(guarded('waybill', command))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        check=False, text=True, **{stream: writer, other: subprocess.PIPE},
    )  # fmt: skip
    os.close(writer)
    assert ended.returncode == 3
    assert (tmp_path / "done").exists()
    assert set(getattr(ended, other)) <= set("xy\n")


def test_help_into_a_closed_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for words in ([], ["--help"], ["run", "--help"], ["--version"]):
        ended = subprocess.run(
            [sys.executable, "-m", "waybill", *words], stdout=writer, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, b"")
    os.close(writer)


def test_quiet_lines_wait_until_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    def ends(code: int) -> str:
        def command(screen: Screen) -> int:
            screen.line("said")
            return code

        assert guarded("waybill", command, quiet=True) == code
        return capsys.readouterr().out

    assert ends(0) == ""
    assert ends(1) == "said\n"
