"""Runs of Snakemake and of the commands without the seconds that it takes to import libraries.

One interpreter for each test process imports Snakemake, boto3 and what those need, nothing of
Waybill, and serves forks (``support.forks``). The fork of a run gets its arguments, environment,
working folder and output and a process group of its own, and does what ``python -m snakemake`` does
after its imports, down to the interpreter's own end.
"""

from __future__ import annotations

import atexit
import functools
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class Fork:
    """One run of ``module``, whose standard output is ``log`` and whose standard error is
    ``errors`` or ``log``; ``pid``, ``poll`` and ``wait`` are those of ``subprocess.Popen``. With
    ``starts`` the processes that it starts are forks, too. They have its ``limits``."""

    def __init__(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: IO[bytes],
        errors: IO[bytes] | None = None,
        module: str = "snakemake",
        starts: bool = True,
        limits: Limits | None = None,
    ):
        run = request(
            module, arguments, cwd=str(cwd), env=env, path=[str(cwd)], leads=True, starts=starts,
            limits=limits,
        )  # fmt: skip
        with Path(os.devnull).open("rb") as nothing:
            streams = [stream.fileno() for stream in (nothing, log, errors or log)]
            self._started = _warm().start(run, streams)
        self.pid = self._started.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; raises subprocess.TimeoutExpired."""
        return self._started.wait(timeout)


@functools.cache
def _warm() -> Server:
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
    return Server(ours)


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
    from snakemake import cli, script  # noqa: F401

    from support import models

    models.keep()
    cli.get_argument_parser()  # loads the plugins
    boto3.client("s3", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    gc.collect()
    gc.freeze()  # or the first collection in each fork would copy all of it


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.forks import Server, request, serve  # noqa: E402
from support.limits import Limits  # noqa: E402

if __name__ == "__main__":
    del sys.path[0]
    _load()
    serve(socket.socket(fileno=int(sys.argv[1])))
