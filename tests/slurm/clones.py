"""A clone of the project as a user has it on a login node, its runs, and what SLURM says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.workflow import Running, Workflow

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "environment.yml", "profiles", "scripts", "slurm", "workflow")
# Polls for the impatient; a status check that saw no job succeed makes the next 10 s later.
QUICK = ["--slurm-init-seconds-before-status-checks", "2"]
NODE_DOWN_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What ``scontrol show job`` says about one job."""

    id: int
    rule: str
    state: str
    reason: str
    node: str
    partition: str
    limit: str
    memory: str
    restarts: int


def scontrol(*arguments: str) -> str:
    """The output of one ``scontrol`` command, which must succeed."""
    command = ["scontrol", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def scancel(job: Job) -> None:
    """Cancel a job as a user does."""
    subprocess.run(["scancel", str(job.id)], check=True)


def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    """What ``condition`` gives as soon as it is true; a test waits no longer than ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.05)
    return found


class Clone(Workflow):
    """A copy of the working tree; runs are ``snakemake --profile slurm`` in it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in PARTS:
            if (ROOT / part).is_dir() and not (ROOT / part).is_symlink():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / part, self.folder / part, symlinks=True, ignore=ignored)
            else:
                shutil.copy2(ROOT / part, self.folder / part, follow_symlinks=False)
        (self.folder / "config").mkdir()

    def configure(self, **transfers: Any) -> None:
        """Write ``config/config.toml``, which is read when a command names no other."""
        super().configure(**transfers)
        (self.folder / "config.toml").replace(self.folder / "config" / "config.toml")

    @property
    def environment(self) -> dict[str, str]:
        """That of a login shell in which the project's environment is active."""
        inherited = {
            k: v for k, v in os.environ.items()
            if not k.startswith(("AWS_", "WAYBILL_", "SNAKEMAKE_", "PYTHON", "SLURM_"))
        }  # fmt: skip
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
        return {**inherited, **self.proxy.env(), "PATH": path, **self.env}

    def start(
        self, *targets: str, options: Iterable[str] | None = None, **settings: Any
    ) -> Running:
        """Start ``snakemake --profile slurm``; ``options`` default to quick polls."""
        command = ["snakemake", "--profile", "slurm", *targets]
        return self.start_command(*command, *(QUICK if options is None else options), **settings)

    def start_command(self, *command: str, **settings: Any) -> Running:
        """Start any command in the clone."""
        return Running(
            self, list(command), {"cwd": self.folder, "env": self.environment, **settings}
        )

    def jobs(self, rule: str | None = None) -> list[Job]:
        """SLURM's records of all jobs of this clone, the oldest first."""
        found = []
        for line in scontrol("show", "job", "-o").splitlines():
            record = dict(re.findall(r"(\S+?)=(\S*)", line))
            if record.get("WorkDir") != str(self.folder):
                continue
            name = re.match(r"rule_([a-z_]+?)(_wildcards_|$)", record.get("Comment", ""))
            job = Job(
                int(record["JobId"]),
                name[1] if name else record["JobName"],
                record["JobState"],
                record["Reason"],
                record["NodeList"],
                record["Partition"],
                record["TimeLimit"],
                record["MinMemoryNode"],
                int(record["Restarts"]),
            )
            if rule in (None, job.rule):
                found.append(job)
        return sorted(found, key=lambda job: job.id)

    def running(self, rule: str) -> list[Job]:
        return [job for job in self.jobs(rule) if job.state == "RUNNING"]

    def submitted(self) -> Counter[str]:
        """How many jobs of each rule SLURM was given."""
        return Counter(job.rule for job in self.jobs())
