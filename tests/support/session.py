"""Runs the commands of a page of the documentation, and compares what they print with the page.

A block of language ``console`` is what somebody types and sees: a line that begins with ``$ `` is a
command, the lines below are all that it prints, and ``...`` stands for any lines. A question that
ends with ``[y/N]`` is answered with the word behind it, on a terminal. A command ends with exit
code 0, unless the next one is ``echo $?``. A block with a ``title`` is a file that is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from doors import TIMEOUT_SECONDS, Door, Talk

from support.warm import Fork

SHOWN_HOME = "/home/ada"
COMMANDS = {
    "waybill": "waybill.cli.main",
    "hca-smart-sync": "waybill.cli.hca.command",
    "sync-from-s3": "waybill.cli.glacier.command",
    "s3-upload": "waybill.cli.s3_upload.command",
    "pt5-uploader": "waybill.cli.pt5.command",
}

_FENCE = re.compile(r"^( *)```(.*)$")
_QUESTION = re.compile(r"^(.*\[y/N\]) (\w+)$")
_SHELL = re.compile(r"[|&;<>$*?`(){}~\n]")  # a command that has these is for bash
_ENDING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# What differs from run to run, and what stands for it when lines are compared.
_VARIES = [
    (re.compile(r"\b\d{4}-\d\d-\d\d([T -]\d\d[:-]\d\d([:-]\d\d)?([.,-]\d+)?Z?)?"), "TIME"),
    (re.compile(r"\b\d{8}_\d{6}_\d+"), "TIME"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\b"), "HASH"),
    (re.compile(r"\b[\d.]+ (seconds|s left|[kKMG]?i?B/s|files/s)"), "RATE"),
    (re.compile(r"\btook (\d+ h )?(\d+ min ?)?(\d+ s)?"), "took TIME"),
    (re.compile(r"\b\d+ file\(s\) to upload"), "N file(s) to upload"),  # at the time of the look
    (re.compile(r"Files/Second: [\d.]+"), "Files/Second: RATE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"-{4,}"), "----"),
    (re.compile(r"\s+"), " "),
]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, its lines, and the number of its first line."""

    language: str
    title: str
    lines: list[str]
    first: int


@dataclass
class Step:
    """A command of a page, what the page shows of it, and the numbers of the lines that show it."""

    command: str
    shown: list[str]
    first: int
    said: list[str] = field(default_factory=list)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    opened: tuple[str, str] | None = None
    lines: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines()):
        fence = _FENCE.match(line)
        if fence is None or (opened is not None and fence[2]):
            if opened is not None:
                lines.append(line)
        elif opened is None:
            language, _, rest = fence[2].strip().partition(" ")
            title = re.search(r'title="([^"]*)"', rest)
            opened, lines, first = (language, title[1] if title else ""), [], number + 1
        else:
            yield Block(*opened, lines, first)
            opened = None
    assert opened is None, f"the block of line {first} has no end"


def steps(block: Block) -> list[Step]:
    """The commands of a block of language ``console``."""
    found: list[Step] = []
    for number, line in enumerate(block.lines, start=block.first):
        if line.startswith("$ "):
            found.append(Step(line[2:], [], number + 1))
        elif found and found[-1].command.endswith("\\") and not found[-1].shown:
            found[-1].command += "\n" + line.removeprefix("> ")
            found[-1].first = number + 1
        else:
            assert found, f"line {number + 1}: output without a command"
            found[-1].shown.append(line)
    return found


def form(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, word in _VARIES:
        line = pattern.sub(word, line)
    return line.strip()


def is_like(said: list[str], shown: list[str]) -> bool:
    """Whether the lines have the form of the lines of a page."""
    if not shown:
        return not said
    if shown[0].strip() == "...":
        return any(is_like(said[skip:], shown[1:]) for skip in range(len(said) + 1))
    return bool(said) and form(said[0]) == form(shown[0]) and is_like(said[1:], shown[1:])


@dataclass
class Session:
    """A user who works through a page: the home, the environment and the folder of the shell."""

    door: Door
    env: dict[str, str]
    cwd: Path
    code: int = 0
    background: list[int] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def begin(cls, door: Door, **variables: str) -> Iterator[Session]:
        """A user in an empty home, for whom the commands are on the path. What was started with
        ``&`` is ended afterwards."""
        programs = door.home.parent / "bin"
        programs.mkdir()
        for name, module in COMMANDS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
            program.chmod(0o755)
        env = door.env(**variables)
        del env["HCA_S3_BUCKET"]
        env["PATH"] = f"{programs}:{Path(sys.executable).parent}:{env['PATH']}"
        env["TALK_TERM"] = "dumb"  # how far a run is differs each time
        session = cls(door, env, door.home)
        try:
            yield session
        finally:
            for pid in session.background:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def work_through(self, text: str) -> list[Step]:
        """Run all of a page in order; the steps have what was said. Raises AssertionError at the
        first command whose exit code is not the one of the page."""
        done: list[Step] = []
        for block in blocks(text):
            if block.title:
                file = self.cwd / block.title.replace("~", self._home)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(block.lines).replace(SHOWN_HOME, self._home) + "\n")
            if block.language != "console":
                continue
            found = steps(block)
            for step, after in zip(found, [*found[1:], None], strict=True):
                step.said = self.run(step)
                done.append(step)
                asks = after is not None and after.command == "echo $?"
                assert asks or self.code == 0, f"$ {step.command}\n" + "\n".join(step.said)
        return done

    @property
    def _home(self) -> str:
        return str(self.door.home)

    def run(self, step: Step) -> list[str]:
        """Run a command; returns the lines of the screen."""
        command = step.command.replace(SHOWN_HOME, self._home)
        questions = [found for line in step.shown if (found := _QUESTION.match(line))]
        words = [] if _SHELL.search(command) else shlex.split(command)
        if words and words[0] in COMMANDS:
            said = self._talk(words, questions) if questions else self._fork(words)
        else:
            assert not questions, f"{command}: only commands of Waybill are answered"
            said = self._bash(command)
        lines = [line.rstrip() for line in said.replace(self._home, SHOWN_HOME).splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _fork(self, words: list[str]) -> str:
        with tempfile.TemporaryFile() as log:
            module = COMMANDS[words[0]]
            process = Fork(words[1:], module=module, cwd=self.cwd, env=self.env, log=log)
            self.code = process.wait(TIMEOUT_SECONDS)
            log.seek(0)
            return log.read().decode()

    def _talk(self, words: list[str], questions: list[re.Match[str]]) -> str:
        command = [sys.executable, "-m", COMMANDS[words[0]], *words[1:]]
        talk = Talk(self.door, command, self.cwd, self.env)
        try:
            for question in questions:
                talk.expect("[y/N]")
                talk.type(f"{question[2]}\n")
            self.code = 0
            return _screen(talk.end(0).out)
        finally:
            talk.close()

    def _bash(self, command: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            left = Path(folder, "left")
            leave = f"code=$? jobs=$(jobs -p)\n(pwd; echo $jobs; env -0) > {left}\nexit $code\n"
            script = f"(exit {self.code})\n{command}\n{leave}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                timeout=TIMEOUT_SECONDS,
            )  # fmt: skip
            self.code = done.returncode
            cwd, jobs, variables = left.read_text().split("\n", 2)
            self.cwd = Path(cwd)
            self.background += map(int, jobs.split())
            pairs = (pair.split("=", 1) for pair in variables.split("\0") if "=" in pair)
            self.env = {name: value for name, value in pairs if name not in ("_", "SHLVL")}
        return done.stdout


def _screen(text: str) -> str:
    """What is left on a terminal: a line that was written over shows its last form."""
    lines = _ENDING.sub("", text).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def with_said(text: str, done: list[Step]) -> str:
    """The page with what the commands have printed in the place of what it shows, where the two
    have not the same form."""
    lines = text.splitlines()
    for step in reversed(done):
        if not is_like(step.said, step.shown):
            blank = [] if not step.shown or step.shown[-1] else [""]
            lines[step.first : step.first + len(step.shown)] = step.said + blank
    return "\n".join(lines) + "\n"
