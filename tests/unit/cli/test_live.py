"""What a person sees of a run, on terminals of 40, 80 and 120 columns. The terminal is real enough:
a pty, whose output pyte draws."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyte
import pytest

import waybill

SCRIPT = """
import os, sys
from waybill.cli.terminal import Screen
from waybill.results.forecast import Amount, Progress
from waybill.results.jobs import Job

MIB = 1 << 20
screen = Screen("waybill")
job = Job("upload", "d", "b.1", host="node1")
job.large = [("run_7/a very long name of a sequencing lane.bam", 300 * MIB, 700 * MIB)]
moving = Progress("Uploading", files=41, files_total=120, jobs=[job])
moving.moves = Amount(412 * MIB, 1200 * MIB, 10.25 * MIB)
states = {
    "start": [Progress("Uploading", looks=True)],
    "hashing": [Progress("Uploading", files_total=120, hashes=Amount(3 << 30, 9 << 30, 400 * MIB),
                moves=Amount(0, 9 << 30))],
    "transfer": ["Looking at both sides ...", moving],
    "failure": [moving, Progress("Uploading", files=41, files_total=120, moves=moving.moves,
                failed=2, repeats=7)],
    "end": [moving, Progress("Uploading", files=120, files_total=120,
            moves=Amount(1200 * MIB, 1200 * MIB, 10.25 * MIB))],
    "after": [moving],
}
for what in states[sys.argv[1]]:
    screen.progress(what)
if sys.argv[1] == "after":
    screen.line("t: all proven")
sys.stderr.flush()
os._exit(0)  # as if it was killed
"""


def seen(columns: int, state: str, **env: str) -> list[str]:
    """The lines on a terminal when the script has ended."""
    main, own = pty.openpty()
    fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    path = {"PYTHONPATH": str(Path(waybill.__file__).parents[1]), "PATH": os.environ["PATH"]}
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, state],
        stdin=own, stdout=own, stderr=own, env={"TERM": "xterm-256color", **path, **env},
    )  # fmt: skip
    os.close(own)
    screen = pyte.Screen(columns, 24)
    stream = pyte.ByteStream(screen)
    try:
        while data := os.read(main, 65536):
            stream.feed(data)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(main)
        assert child.wait(60) == 0
    assert not screen.cursor.hidden
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_at_the_start(columns: int) -> None:
    assert seen(columns, "start") == ["Looking at both sides ..."]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_in_mid_transfer(columns: int) -> None:
    lines = seen(columns, "transfer")
    text = "\n".join(lines)
    assert lines[0].startswith("Uploading ") and lines[0].endswith(" 34 %")
    assert len(lines[0]) == columns, "the bar has the width of the terminal"
    for told in ("41 of 120 files", "412.0 MiB of 1.2 GiB", "10.2 MiB/s, 1 min 17 s left"):
        assert told in text, lines
    assert lines[-1].startswith("  run_7/a very lon") and "42 %" in lines[-1]
    assert len(lines) == (5 if columns == 40 else 3)
    assert ("of 700.0 MiB" in lines[-1]) == (columns > 40)
    assert "Looking" not in text


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_while_files_are_hashed(columns: int) -> None:
    text = "\n".join(seen(columns, "hashing"))
    assert "Hashing" in text and "3.0 GiB of 9.0 GiB" in text
    assert "400.0 MiB/s, 15 s left" in text and "0 of 120 files" in text


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_failures_are_seen_at_once(columns: int) -> None:
    lines = seen(columns, "failure")
    assert lines[-2:] == ["7 requests sent again", "2 failed"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_at_the_end(columns: int) -> None:
    lines = seen(columns, "end")
    assert lines[0].endswith(" 100 %") and lines[-1] == "Seeing to the manifest ..."
    assert "120 of 120 files" in "\n".join(lines) and "left" not in "\n".join(lines)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_nothing_of_it_stays(columns: int) -> None:
    assert seen(columns, "after") == ["t: all proven"]


def test_a_terminal_that_knows_no_codes_gets_none() -> None:
    assert seen(80, "transfer", TERM="dumb") == []
