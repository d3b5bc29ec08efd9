"""A local S3 server for the tests, run as a child process that cannot outlive them."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config

HOST = "127.0.0.1"
REGION = "us-east-1"
# Recognisable, so that a test can search logs and reports for them.
ACCESS_KEY = "AKIAWAYBILLTESTKEY00"
SECRET_KEY = "waybill/Test+SecretKey/0123456789abcdefABCD"

# The child watches its parent's pid: a parent killed with SIGKILL leaves no server behind. This
# holds whatever thread started the child, which PR_SET_PDEATHSIG does not promise.
# moto's routes are regular expressions whose dot leaves out the newline, so a key that holds one
# would not be found. For each request it looks twice for the folders it has, which takes half of
# the time of a small one.
_BOOTSTRAP = """\
import os, runpy, sys, threading, time
from moto import backends
folders = list(backends.list_of_moto_modules())
backends.list_of_moto_modules = lambda: folders
from moto.moto_server.utilities import RegexConverter
plain = RegexConverter.__init__
RegexConverter.__init__ = lambda self, map, regex: plain(self, map, f"(?s:{regex})")
parent = int(sys.argv.pop(1))
def watch():
    while os.getppid() == parent:
        time.sleep(0.3)
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("moto.server", run_name="__main__", alter_sys=True)
"""


def client_for(endpoint_url: str, *, retries: bool = False, **config: Any) -> Any:
    """A boto3 S3 client with the fixed test credentials; without retries unless asked for.

    Credentials, region and endpoint are arguments, and ``os.environ`` stays as it is. ``config``
    goes to ``botocore.Config``.
    """
    if not retries:
        config.setdefault("retries", {"total_max_attempts": 1, "mode": "standard"})
    config.setdefault("s3", {"addressing_style": "path"})
    with _session_lock:
        return _session().client("s3", endpoint_url=endpoint_url, config=Config(**config))


_session_lock = threading.Lock()  # clients may be shared between threads, sessions may not


@functools.cache
def _session() -> boto3.Session:
    """One session for all clients: it keeps the service model, which is slow to load."""
    return boto3.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION
    )


def env_for(endpoint_url: str) -> dict[str, str]:
    """The AWS variables for a subprocess that must see this endpoint and nothing else.

    Merge it over a copy of the environment: ``{**os.environ, **server.env()}``.
    """
    nowhere = Path(tempfile.gettempdir(), "waybill-tests-no-such-dir")
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": str(nowhere / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }


class S3Server:
    """``moto`` as an S3 server on a free loopback port; use it as a context manager.

    ``settings`` are extra environment variables of the server process, for instance
    ``{"S3_UPLOAD_PART_MIN_SIZE": "1"}`` to allow small parts.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, start_timeout: float = 60
    ) -> None:
        self._settings = dict(settings or {})
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Any = None
        self._client: Any = None
        self.port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the S3 server is not running")
        return self._process.pid

    def client(self, **config: Any) -> Any:
        """A boto3 client straight to this server; see :func:`client_for`. Without ``config`` it is
        the same one each time: to make one takes as long as ten requests."""
        if config:
            return client_for(self.endpoint_url, **config)
        if self._client is None:
            self._client = client_for(self.endpoint_url)
        return self._client

    def env(self) -> dict[str, str]:
        """AWS variables for a subprocess; see :func:`env_for`."""
        return env_for(self.endpoint_url)

    def make_bucket(self, name: str) -> str:
        self.client().create_bucket(Bucket=name)
        return name

    def start(self) -> Self:
        """Start and wait until it answers. Another process may take the port first: try again."""
        if self._process is not None:
            raise RuntimeError("the S3 server is already running")
        for _attempt in range(4):
            self.port = _free_port()
            self._spawn()
            if self._wait_ready():
                return self
            output = self.output()
            self.stop()
        raise RuntimeError(f"the S3 server did not start:\n{output[-4000:]}")

    def stop(self) -> None:
        """End the server, by the pid (and process group) this object started."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def output(self) -> str:
        """What the server has printed so far (its access log and tracebacks)."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def _spawn(self) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        arguments = [str(os.getpid()), "-H", HOST, "-p", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**inherited, **self._settings},
            process_group=0,
        )

    def _wait_ready(self) -> bool:
        """Whether our own child (not a stranger on the same port) answers in time."""
        process = self._process
        assert process is not None
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            if self._is_ready() and process.poll() is None:
                return True
            time.sleep(0.05)
        return False

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
