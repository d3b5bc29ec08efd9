"""Runs of Snakemake without the second that it takes to import it, of which the suite has hundreds.

One interpreter for each test process imports Snakemake and what that needs, nothing of Waybill, and
then forks for each run. The fork gets the arguments, environment, working folder and output of its
run and a process group of its own, and does what ``python -m snakemake`` does after its imports,
down to the interpreter's own end. Its jobs are processes as ever, and so is all that the commands
start.
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
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

_START_SECONDS = 120
_REQUEST_BYTES = 1 << 20
# What a run may be sent; Python would swallow the one that comes while it makes the fork a process.
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Fork:
    """One run; ``pid``, ``poll`` and ``wait`` are those of ``subprocess.Popen``."""

    def __init__(self, arguments: list[str], *, cwd: Path, env: Mapping[str, str], log: IO[bytes]):
        self._arguments = arguments
        self._code: int | None = None
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"arguments": arguments, "cwd": os.fspath(cwd), "env": dict(env)})
        with theirs:
            socket.send_fds(_warm(), [request.encode()], [theirs.fileno(), log.fileno()])
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
    """What ``snakemake`` imports before it reads a Snakefile, and while it does."""
    import jsonschema  # noqa: F401
    import smart_open  # noqa: F401
    from snakemake import cli

    cli.get_argument_parser()  # loads the plugins
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
            data, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 2)
            if not data:
                return None
            descriptor, log = descriptors
            end = socket.socket(fileno=descriptor)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            pid = os.fork()
            if not pid:
                os.setpgid(0, 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                waiting.close()
                requests.close()
                end.close()
                for other, (_, its_end) in runs.items():
                    os.close(other)
                    its_end.close()
                os.close(log)
                return json.loads(data)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.setpgid(pid, pid)
            os.close(log)
            _tell(end, pid)
            runs[descriptor := os.pidfd_open(pid)] = pid, end
            waiting.register(descriptor, selectors.EVENT_READ)


def _tell(end: socket.socket, number: int) -> None:
    with contextlib.suppress(ConnectionError):  # who asked may have ended
        end.send(str(number).encode())


def main() -> None:
    """Serve; in a fork, be Snakemake."""
    _load()
    run = _serve(socket.socket(fileno=int(sys.argv[1])))
    if run is None:
        return
    os.environ.clear()
    os.environ.update(run["env"])
    os.chdir(run["cwd"])
    added = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [run["cwd"], *filter(None, added.split(os.pathsep))]
    sys.argv[1:] = run["arguments"]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
