"""Real runs of the workflow: a work folder, its configuration, Snakemake as a subprocess, and what
it left behind, read without Waybill's own readers.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas

from support.proxy import Proxy, Request
from support.warm import Fork

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
RUN_TIMEOUT_SECONDS = 300

_FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)", re.MULTILINE)
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)", re.DOTALL)
_ESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True)
class Finished:
    """One run that ended: its exit code (negative: the signal), all it printed, and the requests
    that reached the server meanwhile, manifests apart from data."""

    code: int
    output: str
    seconds: float
    requests: list[Request]

    @property
    def jobs(self) -> Counter[str]:
        """How many jobs of each rule ran to their end."""
        return Counter(_FINISHED.findall(self.output))

    @property
    def lines(self) -> list[str]:
        """What Waybill itself said."""
        return [line for line in self.output.splitlines() if line.startswith("waybill: ")]

    @property
    def operations(self) -> Counter[str]:
        """How many requests of each operation arrived."""
        return Counter(request.op for request in self.requests)

    @property
    def data_puts(self) -> list[str]:
        """The keys of data that were written, one for each request that began to write one."""
        begun = [r for r in self.requests if r.op in ("PutObject", "CreateMultipartUpload")]
        return sorted(r.key for r in begun if not is_manifest(r.key))

    @property
    def manifest_puts(self) -> list[str]:
        """The keys of published manifests that were written."""
        return [r.key for r in self.requests if r.op == "PutObject" and is_manifest(r.key)]

    def ended(self, code: int) -> Finished:
        """This run, once its exit code is what it should be."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.output[-6000:]}"
        assert "Traceback" not in self.output, self.output[-6000:]
        return self


def is_manifest(key: str) -> bool:
    """Whether this is where a manifest is published."""
    return bool(re.search(r"(^|/)manifests/manifest-[-\d]+\.json$", key))


class Running:
    """Snakemake at work in a process group of its own."""

    def __init__(self, workflow: Workflow, arguments: list[str], settings: Mapping[str, Any]):
        self._workflow = workflow
        self._first = len(workflow.proxy.requests)
        self._begun = time.monotonic()
        self._log = (workflow.folder / "output.log").open("w+b")
        self.process = self._begin(arguments, settings)

    def _begin(self, arguments: list[str], settings: Mapping[str, Any]) -> Any:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
            **settings,
        )

    def __del__(self) -> None:
        self._log.close()

    @property
    def requests(self) -> list[Request]:
        """What reached the server since this run began."""
        return self._workflow.proxy.requests[self._first :]

    def output(self) -> bytes:
        """What it has printed so far."""
        return (self._workflow.folder / "output.log").read_bytes()

    def wait(self, timeout: float = RUN_TIMEOUT_SECONDS) -> Finished:
        """Wait until it has ended; a run that does not end is killed and fails the test."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        seconds = time.monotonic() - self._begun
        self._log.seek(0)
        output = self._log.read().decode(errors="replace")
        self._log.close()
        return Finished(code, output, seconds, self.requests)

    def kill(self) -> None:
        """``kill -9`` the whole group; returns when none of it is left."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        deadline = time.monotonic() + 30
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.process.pid, 0)
                time.sleep(0.01)
            raise AssertionError("processes of a killed run are still there")


class RunningWarm(Running):
    """The same, without the time to import Snakemake; ``arguments`` are those of Snakemake."""

    def _begin(self, arguments: list[str], settings: Mapping[str, Any]) -> Any:
        return Fork(arguments, log=self._log, starts=self._workflow.forks, **settings)


@dataclass
class Workflow:
    """A folder to work in: ``source`` for the files, ``config.toml``, and all that runs leave.

    ``env`` is put over the environment of the runs. Jobs are forks (``support.forks``), unless
    the test looks for single processes of a run.
    """

    folder: Path
    proxy: Proxy
    env: dict[str, str] = field(default_factory=dict)
    forks: bool = True

    def __post_init__(self) -> None:
        self.source.mkdir(parents=True, exist_ok=True)

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def write(self, path: str | bytes, data: bytes) -> Path:
        """Write one source file; ``path`` is relative to the source folder."""
        target = Path(os.fsdecode(os.fsencode(self.source) + b"/" + os.fsencode(path)))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def configure(self, **transfers: Mapping[str, Any]) -> None:
        """Write the configuration; ``source`` is the source folder unless a transfer names one.

        Keys may be dotted, values are strings, numbers, booleans or lists.
        """
        lines = []
        for name, settings in transfers.items():
            lines.append(f"[transfers.{name}]")
            settings = {"source": str(self.source), **settings}
            lines += [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in settings.items()]
        (self.folder / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(
        self,
        *targets: str,
        options: list[str] | None = None,
        config: str | list[str] = "",
        **settings: Any,
    ) -> Running:
        """Start Snakemake; ``config`` is more ``KEY=VALUE`` for its ``--config``, ``settings``
        other than ``env`` and ``limits`` (``support.limits``) go to ``subprocess.Popen``. The
        variable TEST_ENGINE names the engine of all transfers, and TEST_ONE_JOB is their setting
        `one_job_per_batch`."""
        inherited = {
            k: v for k, v in os.environ.items()
            if not k.startswith(("AWS_", "WAYBILL_", "SNAKEMAKE_", "PYTHON"))
        }  # fmt: skip
        inherited["WAYBILL_REPORT"] = "no"  # a second of CPU time for each run
        arguments = [*targets, "--snakefile", str(SNAKEFILE), "-d", str(self.folder)]
        engine, one_job = os.environ.get("TEST_ENGINE"), os.environ.get("TEST_ONE_JOB")
        more = [*([config] if isinstance(config, str) else config)]
        more.append(f"engine={engine}" if engine else "")
        if one_job and not any("one_job_per_batch" in word for word in more):
            more.append(f"one_job_per_batch={one_job}")
        arguments += [*(options or []), "--config", "toml=config.toml", *filter(None, more)]
        env = settings.pop("env", {**inherited, **self.proxy.env(), **self.env})
        settings = {"cwd": self.folder, "env": env, **settings}
        if settings.keys() <= {"cwd", "env", "limits"}:
            return RunningWarm(self, arguments, settings)
        return Running(self, [sys.executable, "-m", "snakemake", *arguments], settings)

    def run(self, *targets: str, code: int = 0, **arguments: Any) -> Finished:
        """Run Snakemake to its end, which must be exit code ``code`` without a traceback."""
        return self.start(*targets, **arguments).wait().ended(code)

    def results(self, transfer: str) -> Results:
        return Results(self.folder / "results" / transfer)


def read_table(path: Path) -> pandas.DataFrame:
    """A table as its documentation tells to read it, values as they stand there."""
    return pandas.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)


def unescape(text: str) -> str:
    """The name behind its form in a table; bytes that are not UTF-8 as surrogates."""

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code in _ESCAPES:
            return _ESCAPES[code]
        number = int(code[1:], 16)
        return chr(0xDC00 + number if code[0] == "x" and number >= 0x80 else number)

    return _ESCAPED.sub(one, text)


@dataclass(frozen=True)
class Results:
    """What a transfer left under ``results/{transfer}``."""

    root: Path

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of one table, names unescaped."""
        return _rows(self.root / name)

    def all(self, kind: str) -> dict[str, dict[str, str]]:
        """The rows of all ``kind`` tables (``markers``, ``diff``, ...) by path."""
        return {row["path"]: row for p in self.files(kind) for row in _rows(p)}

    def files(self, kind: str) -> list[Path]:
        """The tables of one kind, one for each batch, in the order of their names."""
        return sorted(p for p in (self.root / kind).glob("*/*") if not p.name.startswith("."))

    def checksums(self) -> dict[str, str]:
        """SHA-256 by path out of all checksum tables, as coreutils describe the format."""
        found = {}
        for table in self.files("checksums"):
            for line in table.read_bytes().decode().split("\n")[:-1]:
                escaped = line.startswith("\\")
                sha256, name = line.removeprefix("\\").split("  ", 1)
                name = unescape(name) if escaped else name
                found["-" if name == "./-" else name] = sha256
        return found

    def manifest(self) -> dict[str, Any]:
        """The manifest of the only dataset."""
        # A kill may leave what was being written beside it, under a hidden name.
        (path,) = (self.root / "manifests").glob("[!.]*")
        return json.loads(path.read_bytes())

    def journal(self) -> list[dict[str, Any]]:
        """All whole records of all journals."""
        records = []
        for path in self.files("journal"):
            for line in path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    records.append(json.loads(line))
        return records


def _rows(path: Path) -> list[dict[str, str]]:
    table = read_table(path)
    for name in ("path", "key"):
        if name in table:
            table[name] = table[name].map(unescape)
    return table.to_dict("records")
