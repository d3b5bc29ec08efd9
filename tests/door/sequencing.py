"""A sequencing core: runs in monitored folders, a configuration of ``s3-upload``, its logs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doors import TIMEOUT_SECONDS, Door, Spoken

from support.illumina import run_info, sheet
from support.workflow import is_manifest
from waybill.results import seals
from waybill.results.layout import Layout

FIELDS = [
    "run_id", "run_path", "completed", "total_local_files", "total_uploaded_files",
    "total_failed_upload", "failed_upload_files", "uploaded_files",
]  # fmt: skip
FILES = ["CopyComplete.txt", "Data/L001.cbcl", "RTAComplete.txt", "RunInfo.xml", "SampleSheet.csv"]


@dataclass
class Core(Door):
    """A user who monitors sequencers. Monitored folders are in ``data``."""

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def uploads(self) -> Path:
        return self.log_dir / "uploads"

    def make_run(
        self, name: str, folder: str = "A", *, without: tuple[str, ...] = (), **texts: str
    ) -> Path:
        """A finished run of five files, less those ``without``; ``texts`` are their contents where
        it matters, by the name without its ending."""
        run = self.data / folder / name
        known = {
            "RunInfo.xml": run_info(name, "A01295").decode(),
            "SampleSheet.csv": sheet([f"{name}_assay_1"]),
            **{
                f"{stem}.{'csv' if stem == 'SampleSheet' else 'xml'}": t
                for stem, t in texts.items()
            },
        }
        for path in FILES:
            if path not in without:
                self.add(run, path, known.get(path, f"{folder} {path}"))
        return run

    def add(self, run: Path, path: str, text: str = "", size: int = 0) -> Path:
        """One file of a run."""
        target = run / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = (text or str(target)).encode("latin-1")
        target.write_bytes(data if len(data) > size else (data * (size // len(data) + 1))[:size])
        return target

    def section(self, *folders: str, to: str = "/", **more: Any) -> dict[str, Any]:
        """A section of the configuration; ``folders`` are in ``data``."""
        paths = [str(self.data / folder) for folder in folders]
        return {"monitored_directories": paths, "bucket": self.bucket, "remote_path": to, **more}

    def configure(self, *sections: dict[str, Any], **top: Any) -> Path:
        """Write the configuration as s3_upload has it."""
        file = self.home / "config.json"
        whole = {"log_dir": str(self.log_dir), "monitor": list(sections), **top}
        file.write_text(json.dumps(whole))
        return file

    def upload(self, *arguments: str, code: int | None = 0, **more: Any) -> Spoken:
        """``s3-upload upload``."""
        return self.run("upload", *arguments, command="s3_upload", code=code, **more)

    def monitor(self, *arguments: str, code: int | None = 0, **more: Any) -> Spoken:
        """``s3-upload monitor`` over the configuration."""
        config = self.home / "config.json"
        words = ("monitor", "--config", str(config), *arguments)
        return self.run(*words, command="s3_upload", code=code, **more)

    @contextlib.contextmanager
    def monitoring(self) -> Iterator[subprocess.Popen[str]]:
        """A monitor at work, in a process group of its own as cron starts it."""
        words = ["monitor", "--config", str(self.home / "config.json")]
        process = subprocess.Popen(
            [sys.executable, "-m", "waybill.cli.s3_upload", *words],
            cwd=self.data,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()

    # What is there afterwards

    def state(self, name: str) -> dict[str, Any]:
        """The state file of a run, by the name of the file."""
        return json.loads((self.uploads / f"{name}.upload.log.json").read_bytes())

    def write_state(self, run: Path, **fields: Any) -> Path:
        """A state file as s3_upload leaves it."""
        known = dict.fromkeys(FIELDS, 0) | {"run_id": run.name, "run_path": str(run)}
        known |= {"completed": True, "failed_upload_files": [], "uploaded_files": {}} | fields
        file = self.uploads / f"{run.name}.upload.log.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(known, indent=4))
        return file

    def log(self) -> str:
        """The log of today."""
        today = datetime.now().astimezone().date()
        return (self.log_dir / f"s3_upload.log.{today}").read_text()

    def grow_old(self, hours: float) -> None:
        """Have all that was proven be proven so many hours ago."""
        for file in self.log_dir.glob("waybill/*/results/*/state.json"):
            known = json.loads(file.read_bytes())
            for place in known["places"].values():
                place["looked"] -= hours * 3600
            seals.write(Layout(file.parent), file, json.dumps(known).encode())

    def failed_before(self, name: str, hours: float) -> None:
        """Have the last failure of a run be so many hours ago."""
        file = self.uploads / f"{name}.retry.json"
        known = json.loads(file.read_bytes())
        then = datetime.fromtimestamp(time.time() - hours * 3600, UTC)
        file.write_text(json.dumps(known | {"last": then.isoformat()}))


def sent(said: Spoken) -> list[str]:
    """The keys of data that were written, in the order in which they arrived."""
    begun = (r for r in said.requests if r.op in ("PutObject", "CreateMultipartUpload"))
    return [r.key for r in begun if not is_manifest(r.key)]


def processes(text: str) -> list[int]:
    """The processes whose command line or working folder holds ``text``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes() + bytes((process / "cwd").readlink())
        except OSError:
            continue
        if text.encode() in line and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def until(condition: Any, what: str, seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait for ``condition()``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} within {seconds:g} seconds"
        time.sleep(0.02)
