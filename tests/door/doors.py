"""Drives the real commands as a user does: as processes of their own, without a terminal or on
one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.forks import is_plain
from support.proxy import Proxy, Request
from support.warm import Fork

SCRIPTS = Path(__file__).parents[2] / "scripts"
TIMEOUT_SECONDS = 300

# Makes its standard input the terminal that Ctrl-C is typed at, then becomes the command.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@dataclass(frozen=True)
class Spoken:
    """What a command said and did; on a terminal all it said is in ``out``."""

    code: int
    out: str
    err: str
    requests: list[Request]

    @property
    def all(self) -> str:
        return self.out + self.err

    def puts(self, pattern: str = "*.h5ad") -> list[str]:
        """The keys that were written, data by default; sorted."""
        return sorted(r.key for r in self.requests if r.matches("PUT", "PutObject", pattern))


@dataclass
class Door:
    """A user: a home, a folder with data, a bucket behind a recording proxy."""

    home: Path
    data: Path
    bucket: str
    proxy: Proxy

    def env(self, **extra: str) -> dict[str, str]:
        ours = ("AWS_", "HCA_", "WAYBILL_", "SNAKEMAKE_", "XDG_", "PYTHON")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        own = {
            "HOME": str(self.home),
            "PYTHONPATH": str(SCRIPTS),
            "HCA_S3_BUCKET": self.bucket,
            "COLUMNS": "100",
            "WAYBILL_REPORT": "no",
        }
        return {**inherited, **self.proxy.env(), **own, **extra}

    def run(
        self,
        *arguments: str,
        command: str = "hca",
        cwd: Path | None = None,
        code: int | None = 0,
        **extra: str,
    ) -> Spoken:
        """Run a command without a terminal, which must end with ``code`` and no traceback."""
        first = len(self.proxy.requests)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            folder, env, module = cwd or self.data, self.env(**extra), _module(command)
            process = (
                Fork([*arguments], module=module, cwd=folder, env=env, log=out, errors=err)
                if is_plain(env)
                else subprocess.Popen(
                    _python(command, arguments), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, process_group=0,
                )
            )  # fmt: skip
            try:
                ended = process.wait(TIMEOUT_SECONDS)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
            out.seek(0)
            err.seek(0)
            texts = out.read().decode(), err.read().decode()
        return checked(Spoken(ended, *texts, self.proxy.requests[first:]), code)

    @contextlib.contextmanager
    def talk(
        self, *arguments: str, command: str = "hca", cwd: Path | None = None, **extra: str
    ) -> Iterator[Talk]:
        """A command on a terminal of its own; nothing of it is left afterwards."""
        talk = Talk(self, _python(command, arguments), cwd or self.data, self.env(**extra))
        try:
            yield talk
        finally:
            talk.close()

    # What is there afterwards

    def keys(self, pattern: str = ".*") -> list[str]:
        """The keys in the bucket that hold ``pattern``."""
        listing = self.proxy.client().list_objects_v2(Bucket=self.bucket)
        return [o["Key"] for o in listing.get("Contents", []) if re.search(pattern, o["Key"])]

    def body(self, key: str) -> bytes:
        return self.proxy.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def manifests(self) -> list[dict[str, Any]]:
        """The published manifests, oldest first."""
        return [json.loads(self.body(key)) for key in sorted(self.keys("/manifests/"))]

    def write(self, name: str, size: int = 1000) -> Path:
        """One file with bytes of its own, old enough to be settled."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = hashlib.sha256(f"{name}{size}".encode()).digest()
        path.write_bytes((seed * (size // 32 + 1))[:size])
        os.utime(path, (time.time() - 60, time.time() - 60))
        return path

    def states(self) -> list[Path]:
        """The state folders."""
        return sorted((self.home / ".local/state/waybill/hca").glob("*"))


class Talk:
    """A command on a terminal, of the kind that the variable TALK_TERM names."""

    def __init__(self, door: Door, arguments: list[str], cwd: Path, env: dict[str, str]) -> None:
        self._door = door
        self._first = len(door.proxy.requests)
        self._master, slave = pty.openpty()
        self.out = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, *arguments[1:]],
            cwd=cwd,
            env={**env, "TERM": env.get("TALK_TERM", "xterm")},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def expect(self, text: str) -> str:
        """Wait until the terminal shows ``text`` (again), and return what it showed until then."""
        shown = self._read_until(lambda: text in self._fresh, text)
        end = shown.index(text) + len(text)
        self._fresh = shown[end:]  # what came with it is for the next one
        return shown[:end]

    def type(self, text: str) -> None:
        """Type at the terminal; ``\\x03`` is Ctrl-C."""
        os.write(self._master, text.encode())

    def end(self, code: int) -> Spoken:
        """Wait for the end, which must be ``code`` without a traceback."""
        with contextlib.suppress(EOFError):
            self._read_until(lambda: False, "the end")
        ended = self.process.wait(TIMEOUT_SECONDS)
        spoken = Spoken(ended, self.out, "", self._door.proxy.requests[self._first :])
        return checked(spoken, code)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)

    _fresh = ""

    def _read_until(self, found: Any, what: str) -> str:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not found():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what!r} on the terminal:\n{self.out}")
            if not select.select([self._master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:  # the other end has gone
                data = b""
            if not data:
                raise EOFError(f"ended before {what!r}:\n{self.out}")
            text = data.decode(errors="replace").replace("\r\n", "\n")
            self.out += text
            self._fresh += text
        shown, self._fresh = self._fresh, ""
        return shown


def _python(command: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", _module(command), *arguments]


def _module(command: str) -> str:
    return f"waybill.cli.{command}"


def checked(spoken: Spoken, code: int | None) -> Spoken:
    """What was said, once it ended with ``code`` and without a traceback."""
    shown = f"{spoken.out}\n--- stderr\n{spoken.err}"
    assert "Traceback" not in spoken.all, shown
    assert code is None or spoken.code == code, f"exit code {spoken.code}, not {code}\n{shown}"
    return spoken
