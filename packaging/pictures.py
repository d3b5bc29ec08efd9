"""``make pictures``: records a first transfer in a terminal, as the animated picture of README.md.

The commands are real: they run in a pseudo-terminal (pyte), on sample data and an S3 server on this
machine. The frames stand below each other in one picture (rich), which moves behind its window.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from waybill.demo import __main__ as demo

PICTURE = Path(__file__).parents[1] / "docs" / "first-transfer.svg"
COLUMNS, ROWS = 88, 24
LINE = 24.4  # pixels, of rich
COMMANDS = (
    "waybill copy ~/gut s3://my-bucket/atlas/gut --name gut",
    "waybill copy ~/gut s3://my-bucket/atlas/gut --name gut",
    "waybill verify --config results/gut.toml --depth content",
)
APART, PAUSE, REST = 0.4, 1.2, 5.0  # seconds: frames of one command, at most; at the end
QUESTION = "[y/N] "

FILM = """<svg viewBox="0 0 {width} WINDOW" xmlns="http://www.w3.org/2000/svg" role="img">
<title>waybill copy asks, uploads four files, and finds nothing to do when it runs again</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px "Fira Code", Menlo, Consolas, monospace }}
.film {{ transform: translateY(LASTpx); animation: film SECONDSs step-end infinite }}
@media (prefers-reduced-motion: reduce) {{ .film {{ animation: none }} }}
@keyframes film {{ KEYFRAMES }}
{styles}
</style>
<defs><clipPath id="window"><rect width="{terminal_width}" height="SCREEN"/></clipPath>
{lines}</defs>
<rect width="{width}" height="WINDOW" rx="8" fill="#292929"/>
<g fill="#777"><circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/>
<circle cx="60" cy="18" r="6"/></g>
<g transform="translate(9, 36)" clip-path="url(#window)"><g class="film">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></g>
</svg>
"""

Frames = list[tuple[float, list[Text]]]  # seconds for which a screen stands, and its lines


def main() -> None:
    """Record the commands and write the picture."""
    with tempfile.TemporaryDirectory(prefix="waybill-pictures-") as place:
        os.chdir(place)
        demo.FOLDER.mkdir()
        home = Path(place, "home", "ada")
        demo.write_atlas(home / "gut")
        with demo.s3_server() as store:
            demo.make_bucket(store, "my-bucket")
            path = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
            frames = record(home, {**store, "HOME": str(home), "PATH": path, "TERM": "linux"})
    text = film(frames)
    PICTURE.write_text(text, encoding="utf-8")
    print(f"waybill: {PICTURE.name}: {len(frames)} frames, {len(text) // 1024} KiB")


def record(home: Path, env: dict[str, str]) -> Frames:
    """What the screen shows while the commands run."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    frames: Frames = []

    def show(seconds: float) -> None:
        frames.append((seconds, [line_of(screen, row) for row in range(ROWS)]))

    for command in COMMANDS:
        stream.feed("\x1b[1m$\x1b[0m ")
        show(PAUSE)
        stream.feed(f"\x1b[1m{command}\x1b[0m\r\n")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.execvpe("sh", ["sh", "-c", command], env)
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        seen = time.monotonic()
        while chunk := read(terminal):
            stream.feed(chunk.replace(str(home), "/home/ada"))
            asked = chunk.endswith(QUESTION)
            if asked or time.monotonic() - seen >= APART:
                show(PAUSE if asked else APART)
                seen = time.monotonic()
            if asked:
                os.write(terminal, b"y\n")
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        if status:
            sys.exit(f"waybill: {command}: ended with {os.waitstatus_to_exitcode(status)}")
        show(PAUSE)
    frames[-1] = (REST, frames[-1][1])
    return different(frames)


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # EIO: the command has ended
        return ""


def line_of(screen: pyte.Screen, row: int) -> Text:
    """A line of the screen with its colours."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    line = Text()
    for (fg, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        # pyte has brown and brightblack where rich has yellow and bright_black.
        name = fg.replace("brown", "yellow").replace("bright", "bright_")
        color = None if fg == "default" else name
        named = color is None or not all(c in "0123456789abcdef" for c in color)
        style = Style(color=color if named else f"#{color}", bold=bold)
        line.append("".join(cell.data for cell in run), style)
    line.rstrip()
    return line


def different(frames: Frames) -> Frames:
    """The frames without those that show what the one before shows."""
    kept: Frames = []
    for seconds, lines in frames:
        if kept and [str(line) for line in kept[-1][1]] == [str(line) for line in lines]:
            kept[-1] = (min(kept[-1][0] + seconds, max(seconds, PAUSE)), lines)
        else:
            kept.append((seconds, lines))
    return kept


def film(frames: Frames) -> str:
    """The frames as one animated SVG; without animation it shows the last."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for _, lines in frames:
        for line in lines:
            console.print(line, no_wrap=True, crop=True)
    total = sum(seconds for seconds, _ in frames)
    height, at, steps = ROWS * LINE, 0.0, []
    for number, (seconds, _) in enumerate(frames):
        steps.append(f"{at / total:.2%} {{{{ transform: translateY({-number * height:g}px) }}}}")
        at += seconds
    parts = {
        "KEYFRAMES": "\n".join(steps), "SECONDS": f"{total:.1f}", "SCREEN": f"{height:g}",
        "LAST": f"{-(len(frames) - 1) * height:g}", "WINDOW": f"{height + 48:g}",
    }  # fmt: skip
    template = FILM
    for name, value in parts.items():
        template = template.replace(name, value)
    svg = console.export_svg(code_format=template, unique_id="waybill")
    return re.sub(r"<text[^>]*>\s*</text>", "", svg)  # the ends of lines


if __name__ == "__main__":
    main()
