"""A clone of the project as a user has it on a login node: its runs, and SLURM's word on them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.objects import keys, stored
from support.proxy import Call, Proxy, Request
from support.server import S3Server
from support.workflow import Running, Workflow, is_manifest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "environment.yml", "profiles", "scripts", "slurm", "workflow")
# Polls for the impatient; a status check that saw no job succeed makes the next 10 s later.
QUICK = ["--slurm-init-seconds-before-status-checks", "2"]
RUN_SECONDS = 600


@dataclass(frozen=True)
class Job:
    """What ``scontrol show job`` says about one job; ``limit`` is in minutes."""

    id: int
    rule: str
    state: str
    node: str
    partition: str
    limit: int
    memory: str


def scontrol(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The output of one ``scontrol`` command, which must succeed."""
    command = ["scontrol", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout


def sbatch(clone: Clone, *arguments: str) -> int:
    """Submit a job from the clone as a user does; returns its number."""
    command = ["sbatch", "--parsable", *arguments]
    return int(
        subprocess.run(
            command, check=True, capture_output=True, text=True,
            cwd=clone.folder, env=clone.environment,
        ).stdout
    )  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 400) -> Any:
    """What ``condition`` gives as soon as it is true; a test waits no longer than ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.1)
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
            if not k.startswith(("AWS_", "WAYBILL_", "SNAKEMAKE_", "PYTHON", "PYTEST", "SLURM_"))
        }  # fmt: skip
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
        inherited |= {"PATH": path, "WAYBILL_REPORT": "no"}
        return {**inherited, **self.proxy.env(), **self.env}

    def start(
        self, *targets: str, options: Iterable[str] | None = None, **settings: Any
    ) -> Running:
        """Start ``snakemake --profile slurm``; ``options`` default to quick polls."""
        command = ["snakemake", "--profile", "slurm", *targets]
        return self.start_command(*command, *(QUICK if options is None else options), **settings)

    def start_command(self, *command: str, **settings: Any) -> Running:
        """Start any command in the clone."""
        settings = {"cwd": self.folder, "env": self.environment, **settings}
        return Running(self, list(command), settings)

    def jobs(self, rule: str | None = None) -> list[Job]:
        """SLURM's records of all jobs of this clone, the oldest first."""
        found = []
        for line in scontrol("show", "job", "-o", env=self.environment).splitlines():
            record = dict(re.findall(r"(\S+?)=(\S*)", line))
            if record.get("WorkDir") != str(self.folder):
                continue
            name = re.match(r"rule_([a-z_]+?)(_wildcards_|$)", record.get("Comment", ""))
            days, _, clock = record["TimeLimit"].rpartition("-")
            hours, minutes, _ = (int(x) for x in clock.split(":"))
            job = Job(
                int(record["JobId"]),
                name[1] if name else record["JobName"],
                record["JobState"],
                record["NodeList"],
                record["Partition"],
                int(days or 0) * 1440 + hours * 60 + minutes,
                record["MinMemoryNode"],
            )
            if rule in (None, job.rule):
                found.append(job)
        return sorted(found, key=lambda job: job.id)

    def running(self, rule: str) -> list[Job]:
        """Its jobs of one rule that are at work."""
        return [job for job in self.jobs(rule) if job.state == "RUNNING"]

    def job(self, number: int) -> Job:
        """The record of one job."""
        return next(job for job in self.jobs() if job.id == number)

    def submitted(self) -> Counter[str]:
        """How many jobs of each rule SLURM was given."""
        return Counter(job.rule for job in self.jobs())

    def processes(self, script: str, job: int | None = None) -> list[int]:
        """The processes that run a rule's script in this clone, of one SLURM job or of all."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                inside = (entry / "cwd").readlink() == self.folder
                mine = job is None or b"SLURM_JOB_ID=%d" % job in environment_of(entry)
            except (OSError, ValueError):
                continue
            named = any(re.search(rb"/tmp\w+\." + script.encode(), word) for word in command[1:2])
            if inside and mine and named:
                found.append(int(entry.name))
        return found

    def finished(self) -> set[tuple[str, int | None]]:
        """What the journals say has arrived: (key, None) of an object, (key, number) of a part."""
        done: set[tuple[str, int | None]] = set()
        uploads = {}
        for record in self.results("t").journal():
            if "done" in record:
                done.add((record["key"], None))
            elif "upload" in record:
                uploads[record["id"]] = record["key"]
            elif "part" in record:
                done.add((uploads[record["id"]], record["part"]))
        return done

    def check_end(self, s3: S3Server, bucket: str) -> None:
        """Every object holds what its file holds, has one proof in one marker and one line in the
        manifest, and no multipart upload was left open."""
        files = {str(p.relative_to(self.source)): p for p in self.source.rglob("*") if p.is_file()}
        sums = {path: hashlib.sha256(p.read_bytes()).hexdigest() for path, p in files.items()}
        results = self.results("t")
        rows = [row for marker in results.files("markers") for row in read_rows(marker)]
        assert {row["path"]: row["sha256"] for row in rows} == sums
        assert len(rows) == len(files)
        listed = results.manifest()["files"]
        assert {f["key"]: f["sha256"] for f in listed} == {f"data/{p}": h for p, h in sums.items()}
        assert len(listed) == len(files)
        there = {k for k in keys(s3, bucket) if not is_manifest(k)}
        assert there == {f"data/{path}" for path in files}
        for path, sha256 in sums.items():
            body = stored(s3, bucket, f"data/{path}")
            assert hashlib.sha256(body).hexdigest() == sha256, path
        assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)


def environment_of(process: Path) -> list[bytes]:
    """The environment of a process, by its folder in /proc."""
    return (process / "environ").read_bytes().split(b"\0")


def gone(pids: Iterable[int]) -> bool:
    """Whether none of these processes lives; a zombie does not."""
    for pid in pids:
        try:
            if "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                return False
        except (FileNotFoundError, ProcessLookupError):
            continue
    return True


def read_rows(marker: Path) -> list[dict[str, str]]:
    """The rows of a marker with plain names."""
    head, *rows = (line.split("\t") for line in marker.read_text().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def sent(requests: Iterable[Request]) -> Counter[tuple[str, int | None]]:
    """How often the bytes of each object and of each part were sent, manifests apart."""
    return Counter(
        (r.key, r.part)
        for r in requests
        if r.op in ("PutObject", "UploadPart") and not is_manifest(r.key)
    )


def can_mount() -> bool:
    """Whether this machine lets a test mount something, also by FUSE."""
    command = ["unshare", "--mount", "mount", "--bind", "/tmp", "/mnt"]
    bound = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return bound and Path("/dev/fuse").exists()


class OwnCluster:
    """A SLURM cluster for one test, beside the one of all tests. ``slurm_conf`` is the value of
    SLURM_CONF that leads a command there."""

    def __init__(self, folder: Path, port: int) -> None:
        self.slurm_conf = folder / "slurm.conf"
        self._environment = {
            **os.environ, "WAYBILL_CLUSTER": str(folder), "WAYBILL_CLUSTER_PORT": str(port)
        }  # fmt: skip
        # The nested srun of a job reads /etc/slurm; in a mount namespace that is another folder.
        inside = "mount -t tmpfs none /etc/slurm && echo ready && read end"
        self._inside = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._inside.stdout is not None
        assert self._inside.stdout.readline() == b"ready\n"

    def do(self, command: str) -> None:
        """One command of ``cluster.sh``: ``start``, which starts what has died, or ``stop``."""
        enter = ["nsenter", "--mount", "--target", str(self._inside.pid)]
        script = ROOT / "tests" / "slurm" / "cluster.sh"
        subprocess.run([*enter, script, command], check=True, env=self._environment)

    def remember(self, seconds: int) -> None:
        """Set how long the cluster remembers an ended job (MinJobAge)."""
        text = re.sub(r"(?m)^MinJobAge=.*", f"MinJobAge={seconds}", self.slurm_conf.read_text())
        self.slurm_conf.write_text(text)
        env = {**os.environ, "SLURM_CONF": str(self.slurm_conf)}
        scontrol("reconfigure", env=env)
        until(lambda: re.search(rf"MinJobAge += {seconds} ", scontrol("show", "config", env=env)))

    def kill_controller(self) -> None:
        """``kill -9`` of slurmctld."""
        pid = int((self.slurm_conf.parent / "run" / "slurmctld.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone([pid]))

    def end(self) -> None:
        """Stop the cluster and leave its namespace."""
        self.do("stop")
        self._inside.communicate(timeout=30)


@contextmanager
def own_cluster(folder: Path) -> Iterator[OwnCluster]:
    """A cluster of one's own until the end of the block."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    cluster = OwnCluster(folder, 17500 + 20 * worker)
    try:
        cluster.do("start")
        yield cluster
    finally:
        cluster.end()


class Hold:
    """Keeps requests waiting at the proxy, so that a job is surely in the middle of its work."""

    def __init__(self, proxy: Proxy, holds: Callable[[Request], bool]) -> None:
        self.waiting = 0
        self._holds, self._open = holds, threading.Event()
        proxy.fault(Call(self._wait))

    def _wait(self, request: Request) -> None:
        if not self._open.is_set() and self._holds(request):
            self.waiting += 1
            self._open.wait(RUN_SECONDS)

    def release(self) -> None:
        """Let all of them go, and those to come."""
        self._open.set()
