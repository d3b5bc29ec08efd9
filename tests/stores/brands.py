"""Servers of several makers, each with a way to start it on loopback."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from storm.judge import LocalStack
from support.server import ACCESS_KEY, HOST, SECRET_KEY, S3Server, client_for

START_SECONDS = 120


class NotInstallable(Exception):
    """This server cannot be had on this machine; the text is the reason."""


@contextlib.contextmanager
def ceph(folder: Path) -> Iterator[str]:
    """Ceph's RGW with one OSD in memory."""
    script = str(Path(__file__).with_name("ceph.sh"))
    port = free_ports(1)[0]
    try:
        arguments = ["start", str(folder), str(port), ACCESS_KEY, SECRET_KEY]
        begun = subprocess.run([script, *arguments], stderr=subprocess.PIPE, text=True, check=False)
        if begun.returncode == 3:
            raise NotInstallable(begun.stderr.strip())
        if begun.returncode:
            raise RuntimeError((folder / "log" / "start.log").read_text()[-3000:] + begun.stderr)
        yield f"http://{HOST}:{port}"
    finally:
        subprocess.run([script, "stop", str(folder)], check=False)


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """SeaweedFS: master, volume, filer and S3 in one process."""
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
             "filer.port.grpc", "s3.port", "s3.port.grpc"]  # fmt: skip
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    rights = folder / "s3.json"
    keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    user = {"name": "waybill", "credentials": keys, "actions": actions}
    rights.write_text(json.dumps({"identities": [user]}))
    arguments = ["server", f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}", "-s3",
                 f"-s3.config={rights}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
                 "-volume.max=50", "-master.volumeSizeLimitMB=200"]  # fmt: skip
    arguments += [f"-{name}={port}" for name, port in ports.items()]
    with _running([_program("weed"), *arguments], folder, ports["s3.port"]) as url:
        yield url


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[str]:
    """``rclone serve s3`` over a folder."""
    (folder / "buckets").mkdir()
    port = free_ports(1)[0]
    keys = f"{ACCESS_KEY},{SECRET_KEY}"
    arguments = ["serve", "s3", str(folder / "buckets"), "--auth-key", keys]
    command = [_program("rclone"), *arguments, "--addr", f"{HOST}:{port}"]
    with _running(command, folder, port) as url:
        yield url


@contextlib.contextmanager
def localstack(folder: Path) -> Iterator[str]:
    """LocalStack, from the environment that the Makefile makes for storms."""
    python = Path(os.environ.get("LOCALSTACK_PYTHON", ""))
    if not python.is_file():
        raise NotInstallable("localstack: its environment is not there")
    with LocalStack(python) as server:
        yield server.endpoint_url


@contextlib.contextmanager
def moto(_: Path) -> Iterator[str]:
    """moto, the server of all other tests."""
    with S3Server() as server:
        yield server.endpoint_url


class Brand(NamedTuple):
    """A maker's server: its name, how it is started in a folder, and how its version is told."""

    name: str
    start: Callable[[Path], contextlib.AbstractContextManager[str]]
    version: Callable[[], str]


_LOCALSTACK_VERSION = "import importlib.metadata as m; print(m.version('localstack-core'))"

BRANDS: dict[str, Brand] = {
    "ceph": Brand("Ceph RGW", ceph, lambda: _told("radosgw", "--version")),
    "seaweedfs": Brand("SeaweedFS", seaweedfs, lambda: _told(_program("weed"), "version")),
    "localstack": Brand(
        "LocalStack",
        localstack,
        lambda: _told(os.environ["LOCALSTACK_PYTHON"], "-c", _LOCALSTACK_VERSION),
    ),
    "rclone": Brand("rclone serve s3", rclone, lambda: _told(_program("rclone"), "version")),
    "moto": Brand("moto", moto, lambda: importlib.metadata.version("moto")),
}


def _told(*command: str) -> str:
    """The version in what a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", said)
    assert found, said
    return found[0]


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise NotInstallable(f"{name}: its package cannot be installed here")
    return found


@contextlib.contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[str]:
    """A server process, from when it answers until the block ends."""
    url = f"http://{HOST}:{port}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, process_group=0
        )
        try:
            _await(url, process, folder / "server.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            client_for(url).list_buckets()
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.3)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-3000:]}")


def free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that the system gives out, apart from each other."""
    found: list[int] = []
    port = 17000 + (os.getpid() * 97) % 12000
    while len(found) < count:
        port += 50
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
    return found
