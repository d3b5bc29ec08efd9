"""``make newcomer``: does what README.md says, literally, in an empty home.

Every block of commands is run as it stands, in a pseudo-terminal whose questions are answered with
``y``. The info string of a block says what it is:

- ``sh``: commands, one a line; ``console``: commands after ``$`` and what they print; ``exit=1`` is
  their exit code. A line of the README has to be printed in the same order and form: numbers and
  checksums may differ, ``…`` stands for anything, more may be printed.
- ``toml file=NAME``: the content of a file.
- ``needs=WHAT``: not run, because it needs what a fresh machine lacks; counted and reported.

An S3 server on this machine stands for the user's store, and the clone for the address ``$URL``.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from waybill.demo import __main__ as demo

ROOT = Path(__file__).parents[2]
MOST_COMMANDS = 10  # to the first own files that are proven
PROOF = "waybill verify"  # the command that shows it
QUESTION = b"[y/N] "


@dataclass
class Block:
    """One fenced block: its line in the page, language, the rest of its info string, text."""

    line: int
    language: str
    options: dict[str, str]
    text: str

    def steps(self) -> Iterator[tuple[str, list[str]]]:
        """Each command with the lines that it should print."""
        if self.language == "sh":
            for line in self.text.splitlines():
                if command := re.sub(r"(^|\s+)#.*", "", line).strip():
                    yield command, []
        else:
            for part in re.split(r"(?m)^\$ ", self.text)[1:]:
                command, *lines = part.rstrip().splitlines()
                yield re.sub(r"\s+# .*", "", command), lines


@dataclass
class Walk:
    """A newcomer on the way: the home, the variables, and how far the walk is."""

    place: Path
    env: dict[str, str]
    commands: int = 0
    ran: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    proven: tuple[int, float] | None = None  # commands and seconds to the first proof
    begun: float = field(default_factory=time.monotonic)

    @property
    def home(self) -> Path:
        return self.place / "home" / "ada"

    def block(self, block: Block) -> None:
        """Run a block. Raises SystemExit with what differs from the page."""
        if needs := block.options.get("needs"):
            self.skipped[needs] += 1
        elif block.language == "toml" and "file" in block.options:
            text = block.text.replace("/home/ada", str(self.home))
            (self.home / block.options["file"]).write_text(text, encoding="utf-8")
        elif block.language in ("sh", "console"):
            self.ran += 1
            for command, lines in block.steps():
                self.step(block, command, lines)

    def step(self, block: Block, command: str, lines: list[str]) -> None:
        print(f"$ {command}", flush=True)
        self.commands += 1
        code, said = self.type(command)
        where = f"README.md:{block.line}: {command}"
        if code != int(block.options.get("exit", 0)):
            sys.exit(f"{said}\nnewcomer: {where}: ended with {code}")
        if missing := first_missing(lines, said.replace(str(self.place), "")):
            sys.exit(f"{said}\nnewcomer: {where}: did not print: {missing}")
        if self.proven is None and command.startswith(PROOF):
            self.proven = (self.commands, time.monotonic() - self.begun)

    def type(self, command: str) -> tuple[int, str]:
        """Run a command in the shell of before; returns exit code and output."""
        before, after = self.place / "before", self.place / "after"
        before.touch()
        keep = f"code=$?\n{{ export -p; echo cd $PWD; }} > {after}\nexit $code"
        script = f"source {before}\n{command}\n{keep}"
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execve("/bin/bash", ["bash", "--norc", "-c", script], self.env)
        said = b""
        while chunk := read(terminal):
            said += chunk
            if chunk.endswith(QUESTION):
                os.write(terminal, b"y\n")
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        after.rename(before)
        return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def read(terminal: int) -> bytes:
    """The next output; empty when the last program has left the terminal."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody holds the other end any more
        return b""


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"(?ms)^```(\w*)([^\n]*)\n(.*?)^```$", text):
        options = dict(word.partition("=")[::2] for word in found[2].split())
        yield Block(text.count("\n", 0, found.start()) + 2, found[1], options, found[3])


def form(line: str) -> str:
    """A line without what differs from run to run: numbers, checksums, spaces, colours."""
    line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
    line = re.sub(r"\b[0-9a-f]{8,}\b|\d+([.,:]\d+)*", "#", line)
    return " ".join(re.sub("-{5,}", "-----", line).split())


def first_missing(lines: list[str], said: str) -> str | None:
    """The first of the lines that is not in the output, after those before it."""
    printed = iter([form(line) for line in re.split(r"[\r\n]+", said)])
    for line in filter(str.strip, lines):
        pattern = re.escape(form(line)).replace("…", ".*")
        if not any(re.fullmatch(pattern, each) for each in printed):
            return line
    return None


def environment(place: Path, store: dict[str, str]) -> dict[str, str]:
    """The variables of a newcomer: none of this project's, an empty home, pip's own cache."""
    ours = ("PYTHON", "AWS_", "VIRTUAL_ENV", "XDG_", "MAKE", "MFLAGS")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    cache = [sys.executable, "-m", "pip", "cache", "dir"]
    env["PIP_CACHE_DIR"] = subprocess.run(
        cache, capture_output=True, text=True, check=True
    ).stdout.strip()
    programs = place / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    env["PATH"] = f"{programs}:/usr/local/bin:/usr/bin:/bin"
    env |= {k: v for k, v in store.items() if k.startswith("AWS_")}
    env |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    return env | {"HOME": str(place / "home" / "ada"), "URL": f"file://{ROOT}", "COLUMNS": "100"}


def main() -> int:
    """Walk the page; returns the exit code."""
    parser = argparse.ArgumentParser(description="Does what README.md says, in an empty home.")
    parser.add_argument("--minutes", type=float, default=15, help="to the first proof, at most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-newcomer-") as name:
        place = Path(name)
        os.chdir(place)
        demo.FOLDER.mkdir()
        home = place / "home" / "ada"
        demo.write_atlas(home / "gut")
        with demo.s3_server() as store:
            demo.make_bucket(store, "my-bucket")
            walk = Walk(place, environment(place, store))
            for block in blocks(ROOT / "README.md"):
                walk.block(block)
    if walk.proven is None:
        sys.exit(f"newcomer: README.md has no `{PROOF}` that is run")
    commands, seconds = walk.proven
    skipped = ", ".join(f"{count} need {what}" for what, count in sorted(walk.skipped.items()))
    print(f"newcomer: own files proven after {commands} commands in {seconds:.0f} s;", end=" ")
    print(f"{walk.ran} blocks with {walk.commands} commands run; not run: {skipped or 'none'}")
    if commands > MOST_COMMANDS or seconds > given.minutes * 60:
        sys.exit(f"newcomer: more than {MOST_COMMANDS} commands or {given.minutes:g} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
