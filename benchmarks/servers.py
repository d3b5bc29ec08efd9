"""The S3 server to measure against, `rclone serve s3`, and the proxy that adds latency to it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from meter import cpu_of

KEYS = ("bench", "benchbench")
HOST = "127.0.0.1"
NOWHERE = f"http://{HOST}:9"
START_SECONDS = 30
IN_MEMORY_BYTES = 8 << 30


def program(name: str) -> str:
    """The path of a command, from the environment of this Python or from PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise SystemExit(f"{name} is missing; `make bench` installs it")
    return found


def in_memory() -> Path | None:
    """A folder in memory with room for what a bucket holds: the disk of this machine is then the
    client's alone, as it is with S3."""
    folder = Path("/dev/shm")
    free = folder.is_dir() and shutil.disk_usage(folder).free >= IN_MEMORY_BYTES
    return folder if free and file_system(folder) == "tmpfs" else None


def file_system(folder: Path) -> str:
    """The type of the file system of a folder, as `ext4`."""
    df = ["df", "--output=fstype", str(folder)]
    return subprocess.run(df, capture_output=True, text=True, check=True).stdout.split()[-1]


def environment(url: str) -> dict[str, str]:
    """The environment of a client of the server at ``url``.

    Settings of the user are left out, and no client can reach anything else.
    """
    return _without_settings() | {
        "WAYBILL_REPORT": "no",  # its packages are no part of a plain install
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,  # for s5cmd
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE),
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }


def _without_settings() -> dict[str, str]:
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_", "S3_"))}
    return mine | {"RCLONE_CONFIG": os.devnull}


class _Listener:
    """A process that listens on a free port of the loopback interface."""

    def __init__(self, command: list[str], address_option: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = free.getsockname()[1]
        address = f"{HOST}:{self.port}"
        self.url = f"http://{address}"
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [*command, address_option, address],
            env=_without_settings(),
            stdout=self._log,
            stderr=self._log,
        )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection((HOST, self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.__exit__()
        raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self._log.close()

    def cpu(self) -> float:
        """CPU seconds used so far."""
        return cpu_of(self.process.pid)


class Server(_Listener):
    """`rclone serve s3` over a folder, whose subfolders are the buckets."""

    def __init__(self, rclone: str, folder: Path, log: Path) -> None:
        command = [rclone, "serve", "s3", str(folder), "--auth-key", ",".join(KEYS)]
        super().__init__(command, "--addr", log)


class Latency(_Listener):
    """The proxy of latency.py in front of a server."""

    def __init__(self, server: Server, milliseconds: float, log: Path) -> None:
        script = str(Path(__file__).with_name("latency.py"))
        command = [sys.executable, script, f"{HOST}:{server.port}", "--ms", str(milliseconds)]
        super().__init__(command, "--listen", log)
