"""Runs the Snakefile in a process group of its own, and reads its output."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, NamedTuple

from waybill.cli import leash
from waybill.model.errors import EXIT_CONFIG, EXIT_EMPTY, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from waybill.system.interrupt import NUMBERS, exit_code
from waybill.system.resources import project_root

TICK_SECONDS = 1.0
INSIST_SECONDS = 4.0  # how long Snakemake may go on after a signal before its group is killed

_LEASH = Path(leash.__file__)

_Handler = Callable[[int, FrameType | None], Any] | int | None  # of a signal

_PASSED_ON = {EXIT_OK, EXIT_FAILED, EXIT_CONFIG, EXIT_EMPTY, EXIT_INTERRUPTED}
_SAID = re.compile(
    r"waybill: (?!FAILED:)(?P<transfer>[\w-]+)(?::(?P<stage>[\w:]+))?: (?P<text>.*)", re.ASCII
)


class Said(NamedTuple):
    """One line of the workflow for the user; ``stage`` is empty in its last lines."""

    transfer: str
    stage: str
    text: str


@dataclass(slots=True)
class Ended:
    """A run of Snakemake that has ended; ``signal`` is the signal that has ended it, or 0."""

    target: str
    code: int
    said: list[Said]
    signal: int = 0


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run the Snakefile: in ``directory``, with the configuration ``toml``. All output goes
    to ``log``.

    Runs with the same ``start`` share one inventory. ``echo`` gets every line, too. ``settings``
    override those of the transfers. ``options`` are more options of Snakemake.
    """

    directory: Path
    toml: str
    log: Path
    cores: int | None = None
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    echo: Callable[[str], None] | None = None
    start: str = field(default_factory=lambda: f"door-{secrets.token_hex(8)}")
    settings: dict[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()

    def run(
        self,
        target: str,
        transfers: list[str],
        tick: Callable[[], None],
        files: Sequence[str] = (),
    ) -> Ended:
        """Make ``target`` for the named transfers, or instead of it ``files``, which are relative
        to the working folder. ``tick`` is called about once a second."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = self._arguments(files or [target], transfers)
        with self.log.open("a", encoding="utf-8") as log, _Child() as child:
            child.begin(arguments, self.directory, self.env)
            said = list(self._listen(child, log, tick))
            code = child.wait()
        if child.signal:
            return Ended(target, exit_code(child.signal), said, child.signal)
        return Ended(target, code if code in _PASSED_ON else EXIT_FAILED, said)

    def _arguments(self, targets: Sequence[str], transfers: list[str]) -> list[str]:
        root = project_root()
        config = {
            "toml": self.toml, "start": self.start, "transfers": ",".join(transfers),
            **self.settings,
        }  # fmt: skip
        return [
            sys.executable, "-P", "-m", "snakemake",  # -P: no module out of the user's folder
            "--snakefile", str(root / "Snakefile"),
            "--directory", str(self.directory),
            "--workflow-profile", str(root / "workflow" / "profiles" / "default"),
            *([] if self.cores is None else ["--cores", str(self.cores)]),
            *self.options,
            # Quoted as YAML: Snakemake would take a transfer named 1e5 for a number.
            "--config", *(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in config.items()),
            "--", *targets,
        ]  # fmt: skip

    def _listen(self, child: _Child, log: IO[str], tick: Callable[[], None]) -> Iterator[Said]:
        ticked = time.monotonic()
        for line in child.lines():
            if line:
                log.write(line)
                log.flush()
                if self.echo is not None:
                    self.echo(line.rstrip("\n"))
                if match := _SAID.fullmatch(line.rstrip("\n")):
                    yield Said(match["transfer"], match["stage"] or "", match["text"])
            if time.monotonic() - ticked >= TICK_SECONDS:
                tick()
                ticked = time.monotonic()


class _Child:
    """A running Snakemake. A signal that would end this process is sent on to the process group of
    Snakemake: the first one politely, the second as SIGTERM, the third as SIGKILL. The group is
    killed after ``INSIST_SECONDS``, too. If this process is killed, the group ends (``leash``)."""

    def __init__(self) -> None:
        self.signal = 0
        self._lifeline = -1
        self._process: subprocess.Popen[str] | None = None
        self._count = 0
        self._deadline = math.inf  # of the monotonic clock
        self._before: dict[int, _Handler] = {}

    def __enter__(self) -> _Child:
        for number in NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._send_on)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._kill(signal.SIGKILL)
            self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)  # ends what is left of the group
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self, arguments: list[str], directory: Path, env: dict[str, str]) -> None:
        lifeline, self._lifeline = os.pipe()  # neither end is passed on by accident
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LEASH), str(lifeline), *arguments],
                cwd=directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
                process_group=0,
                pass_fds=(lifeline,),
            )
        finally:
            os.close(lifeline)
        if self.signal:
            self._kill(self.signal)

    def lines(self) -> Iterator[str]:
        """Each line as it comes. An empty text when no line has come for a while."""
        arrived: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(arrived,), daemon=True).start()
        while True:
            self._insist()
            try:
                line = arrived.get(timeout=TICK_SECONDS / 4)
            except queue.Empty:
                yield ""
                continue
            if line is None:
                return
            yield line

    def wait(self) -> int:
        assert self._process is not None
        while True:
            self._insist()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(TICK_SECONDS / 4)

    def _read(self, arrived: queue.Queue[str | None]) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            arrived.put(line)
        arrived.put(None)

    def _send_on(self, number: int, _frame: object) -> None:
        if not self.signal:
            self.signal = number
            self._deadline = time.monotonic() + INSIST_SECONDS
        self._count += 1
        gentle = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        self._kill({1: gentle, 2: signal.SIGTERM}.get(self._count, signal.SIGKILL))

    def _insist(self) -> None:
        if time.monotonic() > self._deadline:
            self._kill(signal.SIGKILL)

    def _kill(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
