"""Starts Python processes as forks, so that they need not load their libraries again.

A server is an interpreter that has loaded libraries and does nothing else: it has one thread, and
its forks begin as a new interpreter would after its imports. A fork that is to start processes of
its own (Snakemake, a command) first forks a server for them, as its child. From it ``subprocess``
gets the jobs of Snakemake and the Snakemake of a command; anything else is started as ever, and so
is Python with settings that only a new interpreter heeds.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import re
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from support.limits import Limits

ROOT = Path(__file__).parents[2]
LEASH = ROOT / "scripts" / "waybill" / "cli" / "leash.py"
START_SECONDS = 120
SERVER_FD = 500  # and above: the ends of servers, out of the way of what a process opens itself

_REQUEST_BYTES = 1 << 20
_MOST_FDS = 8
# What a process may be sent. Python would swallow what comes while it makes the fork a process.
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# How `stages.run` has Snakemake start a job: without interrupts, which are for Snakemake.
_JOB = re.compile(r"trap '' INT; exec +(\S+) (\S+/\.snakemake/scripts/\S+\.py)")
# What only a new interpreter heeds.
_OWN = re.compile(r"PYTHON(?!PATH$)\w*|LC_\w+|LANG(UAGE)?|LD_\w+|MALLOC_\w+|COVERAGE_\w+")

_LOCALE = os.environ.get("LC_CTYPE")  # Python sets it in the C locale
_FIRST_ENV = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}

Request = dict[str, Any]


class Server:
    """The way to a server."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def close(self) -> None:
        """Let the server end after its forks."""
        self._end.close()

    def start(self, request: Request, streams: Sequence[int], kept: Sequence[int] = ()) -> Started:
        """Start a process with these standard streams and with the descriptors ``kept``."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        data = json.dumps({**request, "kept": [*kept]}).encode()
        with theirs:
            socket.send_fds(self._end, [data], [theirs.fileno(), *streams, *kept])
        return Started(ours, request["arguments"])


class Started:
    """A process that a server has started; ``code`` is its exit code, None while it runs."""

    def __init__(self, end: socket.socket, arguments: Sequence[str]) -> None:
        self._end, self._arguments = end, arguments
        self.code: int | None = None
        self.pid = self._receive(START_SECONDS)

    def __del__(self) -> None:
        self._end.close()

    def wait(self, timeout: float | None) -> int:
        """The exit code, negative for a signal; raises subprocess.TimeoutExpired."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(self._receive(timeout))
            self._end.close()
        return self.code

    def _receive(self, timeout: float | None) -> int:
        self._end.settimeout(timeout if timeout is None else max(0.0, timeout))
        try:
            data = self._end.recv(64)
        except (TimeoutError, BlockingIOError):
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0) from None
        if not data:
            raise RuntimeError("the server of forks has ended")
        return int(data)


def request(
    name: str,
    arguments: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    path: Sequence[str] = (),
    leads: bool = False,
    starts: bool = False,
    interrupts: bool = True,
    limits: Limits | None = None,
) -> Request:
    """A process that runs ``name``, a module or the path of a file. ``path`` stands first in its
    ``sys.path``. It leads a group of its own or not, starts processes or not, heeds interrupts or
    not, and it and what it starts have these limits."""
    return {
        "name": name, "arguments": [*arguments], "cwd": cwd, "env": dict(env), "path": [*path],
        "leads": leads, "starts": starts, "interrupts": interrupts, "limits": limits or (),
    }  # fmt: skip


# --- in a server and in its forks ----------------------------------------------------------------


class _Replaced(BaseException):
    """The process replaces itself by another program."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments


def serve(requests: socket.socket) -> None:
    """Fork for each request and tell its pid, and later its wait status. In a fork, run what was
    asked for to its end. In the server, return when no request can come and no fork is left."""
    path = [*sys.path]
    found = _fork_for_each(requests)
    while found is not None:
        _enter(found, path)
        if found["starts"]:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if server := os.fork():
                theirs.close()
                number = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, SERVER_FD)
                ours.close()
                _install(Server(socket.socket(fileno=number)), server)
            else:
                ours.close()
                _be_a_server(theirs)
                found = _fork_for_each(theirs)
                if found is None:
                    os._exit(0)
                continue
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        try:
            _run(found)
        except _Replaced as replaced:
            head = [sys.executable, "-P", "-m", "snakemake"]
            assert replaced.arguments[:4] == head, replaced.arguments
            more = {"name": "snakemake", "arguments": replaced.arguments[4:], "starts": True}
            found = {**found, **more, "path": []}
        except SystemExit as end:
            _end(end.code)
        except KeyboardInterrupt:
            sys.excepthook(*sys.exc_info())
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:  # noqa: BLE001 - the end of the process
            sys.excepthook(*sys.exc_info())
            _end(1)
        else:
            _end(0)


def _end(code: Any) -> NoReturn:
    """End as an interpreter does, but for the tenth of a second in which it tidies up its memory,
    which for a fork is that of the server."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit((code or 0) & 0xFF)


def _fork_for_each(requests: socket.socket) -> Request | None:
    """The request of a fork, in that fork; None in the server, at its end."""
    waiting = selectors.DefaultSelector()
    waiting.register(requests, selectors.EVENT_READ)
    runs: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells of the end
    comes = True  # another request may come
    while comes or runs:
        for key, _ in waiting.select():
            if key.fd in runs:
                pid, end = runs.pop(key.fd)
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(end, os.waitpid(pid, 0)[1])
                end.close()
                continue
            data, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, _MOST_FDS)
            if not data:
                waiting.unregister(requests)
                comes = False
                continue
            end = socket.socket(fileno=descriptors[0])
            found = json.loads(data)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            pid = os.fork()
            if not pid:
                if found["leads"]:
                    os.setpgid(0, 0)
                waiting.close()
                for opened in (requests, end, *(its_end for _, its_end in runs.values())):
                    opened.close()
                for other in runs:
                    os.close(other)
                _take(descriptors[1:], [0, 1, 2, *found["kept"]])
                return found
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            if found["leads"]:
                with contextlib.suppress(OSError):
                    os.setpgid(pid, pid)
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            _tell(end, pid)
            runs[number := os.pidfd_open(pid)] = pid, end
            waiting.register(number, selectors.EVENT_READ)
    return None


def _take(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Give descriptors these numbers."""
    above = max(numbers) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in descriptors]
    for fd in descriptors:
        os.close(fd)
    for fd, number in zip(moved, numbers, strict=True):
        os.dup2(fd, number)
        os.close(fd)


def _tell(end: socket.socket, number: int) -> None:
    with contextlib.suppress(ConnectionError):  # who asked may have ended
        end.send(str(number).encode())


def _enter(found: Request, path: Sequence[str]) -> None:
    """Make this fork the process that was asked for, before its program runs."""
    os.environ.clear()
    os.environ.update(found["env"])
    if _LOCALE is not None:
        os.environ.setdefault("LC_CTYPE", _LOCALE)
    time.tzset()
    os.chdir(found["cwd"])
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [*found["path"], *filter(None, added), *path]
    sys.argv[:] = [found["name"], *found["arguments"]]
    for number in _SIGNALS - {signal.SIGINT}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    Limits(*found["limits"]).impose()
    heeded = signal.default_int_handler if found["interrupts"] else signal.SIG_IGN
    signal.signal(signal.SIGINT, heeded)


def _be_a_server(requests: socket.socket) -> None:
    """Hold nothing of the process that this server is for. SIGTERM and SIGHUP, sent to all that the
    process has started, end the server after its forks."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)

    def end(*_: object) -> None:
        with contextlib.suppress(OSError):
            requests.shutdown(socket.SHUT_RDWR)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _SIGNALS - {signal.SIGINT}:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _run(found: Request) -> None:
    def execv(_: str, arguments: list[str]) -> NoReturn:
        os.execv = real
        raise _Replaced(arguments)

    if not Path(found["name"]).is_absolute():
        runpy.run_module(found["name"], run_name="__main__", alter_sys=True)
        return
    real = os.execv
    if found["name"] == str(LEASH):
        os.execv = execv
    runpy.run_path(found["name"], run_name="__main__")


# --- how subprocess asks a server ----------------------------------------------------------------


def is_plain(env: Mapping[str, str]) -> bool:
    """Whether the fork of a server can have the environment ``env``."""

    def own(variables: Mapping[str, str]) -> dict[str, str]:
        found = {name: value for name, value in variables.items() if _OWN.fullmatch(name)}
        return {"LC_CTYPE": _LOCALE, **found} if _LOCALE is not None else found

    added = Path(env.get("PYTHONPATH") or ROOT / "scripts")
    return own(env) == own(_FIRST_ENV) and added == ROOT / "scripts"


def _install(server: Server, pid: int) -> None:
    """Have ``subprocess`` start through ``server``, the child ``pid``, what can be started so."""

    def execute_child(self: Any, args: Any, executable: Any, preexec_fn: Any, *more: Any) -> None:
        (_, pass_fds, cwd, env, _, _, shell, p2cread, p2cwrite, c2pread, c2pwrite,
         errread, errwrite, *_, start_new_session, process_group) = more  # fmt: skip
        given = dict(os.environ if env is None else env)
        found = _program(args, shell=shell)
        plain = not (preexec_fn or start_new_session) and process_group in (-1, 0)
        if found is None or not plain or not is_plain(given):
            execute(self, args, executable, preexec_fn, *more)
            return
        asked = request(
            **found, cwd=os.fspath(cwd or Path.cwd()), env=given, leads=process_group == 0
        )
        streams = [own if fd < 0 else fd for own, fd in enumerate((p2cread, c2pwrite, errwrite))]
        self._started = server.start(asked, streams, pass_fds)
        self.pid = self._started.pid
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def wait(self: Any, timeout: float | None) -> int:
        if not hasattr(self, "_started"):
            return wait_for(self, timeout)
        with self._waitpid_lock:
            if self.returncode is None:
                self.returncode = self._started.wait(timeout)
        return self.returncode

    def internal_poll(self: Any, *deadstate: Any, **more: Any) -> int | None:
        if not hasattr(self, "_started"):
            return poll(self, *deadstate, **more)
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.returncode = self._started.wait(0)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def end() -> None:
        server.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    popen: Any = subprocess.Popen
    execute, wait_for, poll = popen._execute_child, popen._wait, popen._internal_poll
    popen._execute_child, popen._wait, popen._internal_poll = execute_child, wait, internal_poll
    atexit.register(end)


def _program(args: Any, *, shell: bool) -> dict[str, Any] | None:
    """What a command asks for, if a fork can be that."""
    if shell:
        match = _JOB.fullmatch(args.strip()) if isinstance(args, str) else None
        if match is None or match[1] != sys.executable:
            return None
        (script,) = shlex.split(match[2])
        folder = str(Path(script).parent)
        return {"name": script, "arguments": [], "path": [folder], "interrupts": False}
    if isinstance(args, list | tuple) and [*args[:4]] == [sys.executable, "-I", "-S", str(LEASH)]:
        return {"name": str(LEASH), "arguments": [*args[4:]]}
    return None
