"""Runs of Snakemake and of the commands without the seconds that it takes to import libraries.

One interpreter for each test process imports Snakemake, boto3 and what those need, nothing of
Waybill, and then forks for each run. The fork gets the arguments, environment, working folder and
output of its run and a process group of its own, and does what ``python -m snakemake`` does after
its imports, down to the interpreter's own end. Its jobs are forks of it (``support.forks``).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

_START_SECONDS = 120
_REQUEST_BYTES = 1 << 20
# What a run may be sent; Python would swallow the one that comes while it makes the fork a process.
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Fork:
    """One run of ``module``, whose standard output is ``log`` and whose standard error is
    ``errors`` or ``log``; ``pid``, ``poll`` and ``wait`` are those of ``subprocess.Popen``."""

    def __init__(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: IO[bytes],
        errors: IO[bytes] | None = None,
        module: str = "snakemake",
    ):
        self._arguments = arguments
        self._code: int | None = None
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        run = {"module": module, "arguments": arguments, "cwd": os.fspath(cwd), "env": dict(env)}
        streams = [log.fileno(), (errors or log).fileno()]
        with theirs:
            socket.send_fds(_warm(), [json.dumps(run).encode()], [theirs.fileno(), *streams])
        self.pid = self._receive(_START_SECONDS)

    def __del__(self) -> None:
        self._end.close()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; raises subprocess.TimeoutExpired."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(self._receive(timeout))
            self._end.close()
        return self._code

    def _receive(self, timeout: float | None) -> int:
        self._end.settimeout(timeout if timeout is None else max(0.0, timeout))
        try:
            data = self._end.recv(64)
        except (TimeoutError, BlockingIOError):
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0) from None
        if not data:
            raise RuntimeError("the warm interpreter has ended")
        return int(data)


@functools.cache
def _warm() -> socket.socket:
    """The way to the warm interpreter, which ends when this end of it is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            env={name: value for name, value in os.environ.items() if name[:6] != "PYTHON"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,
        )

    def end() -> None:
        ours.close()
        process.wait(30)

    atexit.register(end)
    return ours


# --- in the warm interpreter ---------------------------------------------------------------------


def _load() -> None:
    """What ``snakemake`` imports before it reads a Snakefile and while it does, and what jobs
    import besides Waybill."""
    import asyncio  # noqa: F401
    import smtplib  # noqa: F401

    import awscrt.http
    import awscrt.s3  # noqa: F401
    import boto3
    import botocore.httpsession
    import botocore.retries.standard  # noqa: F401
    import httptools  # noqa: F401
    import jsonschema  # noqa: F401
    import psutil  # noqa: F401
    import smart_open  # noqa: F401
    import tomli  # noqa: F401
    from botocore.loaders import JSONFileLoader
    from snakemake import cli, script  # noqa: F401

    cli.get_argument_parser()  # loads the plugins
    read = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read(path)
    boto3.client("s3", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    gc.collect()
    gc.freeze()  # or the first collection in each fork would copy all of it


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request and tell its pid, and later its wait status. Returns the request in a
    fork, and None when no more can come."""
    waiting = selectors.DefaultSelector()
    waiting.register(requests, selectors.EVENT_READ)
    runs: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells of the end
    while True:
        for key, _ in waiting.select():
            if key.fd in runs:
                pid, end = runs.pop(key.fd)
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(end, os.waitpid(pid, 0)[1])
                end.close()
                continue
            data, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 3)
            if not data:
                return None
            descriptor, *streams = descriptors
            end = socket.socket(fileno=descriptor)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            pid = os.fork()
            if not pid:
                os.setpgid(0, 0)
                for number, stream in enumerate(streams, 1):
                    os.dup2(stream, number)
                waiting.close()
                requests.close()
                end.close()
                for other, (_, its_end) in runs.items():
                    os.close(other)
                    its_end.close()
                for stream in streams:
                    os.close(stream)
                return json.loads(data)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.setpgid(pid, pid)
            for stream in streams:
                os.close(stream)
            _tell(end, pid)
            runs[descriptor := os.pidfd_open(pid)] = pid, end
            waiting.register(descriptor, selectors.EVENT_READ)


def _tell(end: socket.socket, number: int) -> None:
    with contextlib.suppress(ConnectionError):  # who asked may have ended
        end.send(str(number).encode())


def main() -> None:
    """Serve; in a fork, be the module that was asked for."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support import forks

    del sys.path[0]
    _load()
    forks.install()
    run = _serve(socket.socket(fileno=int(sys.argv[1])))
    if run is None:
        return
    locale = os.environ.get("LC_CTYPE")
    os.environ.clear()
    os.environ.update(run["env"])
    if locale is not None:  # Python sets it in the C locale
        os.environ.setdefault("LC_CTYPE", locale)
    os.chdir(run["cwd"])
    added = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [run["cwd"], *filter(None, added.split(os.pathsep))]
    sys.argv[1:] = run["arguments"]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    time.tzset()
    runpy.run_module(run["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
