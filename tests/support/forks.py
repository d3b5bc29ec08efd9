"""Makes a Python process out of a fork, so that it need not load its libraries again.

``become`` turns a fork into what a new interpreter would be. ``install`` lets ``subprocess`` start
jobs, and the Snakemake of a command, in this way. All else is started as ever, and so is Python
with settings that only a new interpreter heeds.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread
import gc
import io
import logging
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).parents[2]
LEASH = ROOT / "scripts" / "waybill" / "cli" / "leash.py"

# How `stages.run` has Snakemake start a job: without interrupts, which are for Snakemake.
_JOB = re.compile(r"trap '' INT; exec +(\S+) (\S+/\.snakemake/scripts/\S+\.py)")
# What only a new interpreter heeds.
_OWN = re.compile(r"PYTHON(?!PATH$)\w*|LC_\w+|LANG(UAGE)?|LD_\w+|MALLOC_\w+|COVERAGE_\w+")


class Program(NamedTuple):
    """What a process runs: the module or the file ``name``. ``added`` stands first in its path."""

    run: Callable[..., Any]
    name: str
    arguments: list[str]
    added: list[str]

    @classmethod
    def module(cls, name: str, arguments: list[str], *added: str) -> Program:
        return cls(runpy.run_module, name, arguments, list(added))

    @classmethod
    def file(cls, name: str, arguments: list[str], *added: str) -> Program:
        return cls(runpy.run_path, name, arguments, list(added))


def is_plain(env: Mapping[str, str]) -> bool:
    """Whether a fork of this process can have the environment ``env``."""

    def own(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if _OWN.fullmatch(name)}

    added = Path(env.get("PYTHONPATH") or ROOT / "scripts")
    return own(env) == own(_FIRST_ENV) and added == ROOT / "scripts"


_FIRST_ENV = dict(os.environ)


def become(program: Program, env: Mapping[str, str]) -> NoReturn:
    """Run a program as a new interpreter would, and end as that would. Its standard streams are
    descriptors 0, 1 and 2."""
    code: Any = 1
    try:
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        _forget()
        added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:] = [*program.added, *filter(None, added), *_FIRST_PATH]
        sys.argv[:] = [program.name, *program.arguments]
        if program.run is runpy.run_module:
            program.run(program.name, run_name="__main__", alter_sys=True)
        else:
            program.run(program.name, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        _end(code or 0)


def _end(code: int) -> NoReturn:
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def _forget() -> None:
    """Leave behind what the parent had, besides modules that are not Waybill's."""
    gc.freeze()  # what the parent holds is not this process's to collect
    atexit._clear()
    concurrent.futures.thread._threads_queues.clear()  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.partition(".")[0] == "waybill"]:
        del sys.modules[name]
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _PARENTS.extend((sys.stdin, sys.stdout, sys.stderr))  # never flushed: that is the parent's
    sys.stdin = sys.__stdin__ = _stream(0, "rb")
    sys.stdout = sys.__stdout__ = _stream(1, "wb")
    sys.stderr = sys.__stderr__ = _stream(2, "wb")
    for logger in _loggers():
        known = _FIRST_LOGGERS.get(logger.name, ([], [], logging.NOTSET, True, False))
        handlers, filters, level, logger.propagate, logger.disabled = known
        logger.handlers[:], logger.filters[:] = handlers, filters
        logger.setLevel(level)
    logging.disable(logging.NOTSET)
    warnings.resetwarnings()
    warnings.filters[:] = _FIRST_FILTERS
    sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__


def _loggers() -> list[logging.Logger]:
    """All loggers, the root first."""
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in known if isinstance(logger, logging.Logger))]


def _stream(number: int, mode: str) -> io.TextIOWrapper:
    """A standard stream, as it is in a new interpreter."""
    return io.TextIOWrapper(
        open(number, mode, closefd=False),
        encoding="utf-8",
        errors=_FIRST_ERRORS[number],
        line_buffering=number == 2 or os.isatty(number),
    )


_PARENTS: list[Any] = []
_FIRST_ERRORS = [stream.errors for stream in (sys.stdin, sys.stdout, sys.stderr)]
_FIRST_PATH: list[str] = []
_FIRST_LOGGERS: dict[str, tuple[list[Any], list[Any], int, bool, bool]] = {}
_FIRST_FILTERS = list(warnings.filters)


# --- how subprocess starts them ------------------------------------------------------------------


def install() -> None:
    """Have ``subprocess`` fork this process for jobs and for the Snakemake of a command. They
    begin with the loggers and the path for modules as they are now."""
    _FIRST_PATH[:] = filter(os.path.isabs, sys.path)  # Snakemake adds others
    for log in _loggers():
        kept = [*log.handlers], [*log.filters], log.level, log.propagate, log.disabled
        _FIRST_LOGGERS[log.name] = kept
    subprocess.Popen._execute_child = _execute_child  # type: ignore[attr-defined]


_execute = subprocess.Popen._execute_child  # type: ignore[attr-defined]


def _program(args: Any, *, shell: bool) -> Program | None:
    """The program in a command that a fork can become."""
    if shell:
        match = _JOB.fullmatch(args.strip()) if isinstance(args, str) else None
        if match is None or match[1] != sys.executable:
            return None
        (script,) = shlex.split(match[2])
        return Program.file(script, [], str(Path(script).parent))
    if isinstance(args, list | tuple) and [*args[:4]] == [sys.executable, "-I", "-S", str(LEASH)]:
        return Program.file(str(LEASH), [*args[4:]])
    return None


def _execute_child(
    self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
    shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid,
    umask, start_new_session, process_group,
):  # fmt: skip
    given = os.environ if env is None else env
    program = _program(args, shell=shell)
    if program is None or preexec_fn or start_new_session or not is_plain(given):
        return _execute(
            self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
            creationflags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite,
            restore_signals, gid, gids, uid, umask, start_new_session, process_group,
        )  # fmt: skip
    given = dict(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads are at work
        self.pid = os.fork()
    if not self.pid:
        try:
            if process_group >= 0:
                os.setpgid(0, process_group)
            if shell:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            _take_streams({0: p2cread, 1: c2pwrite, 2: errwrite}, pass_fds)
            if cwd is not None:
                os.chdir(cwd)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(255)
        _become(program, given)
    if process_group >= 0:
        with suppress(OSError):
            os.setpgid(self.pid, process_group or self.pid)
    self._child_created = True
    self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
    return None


def _become(program: Program, env: Mapping[str, str]) -> NoReturn:
    """``become``, and again when the program replaces itself by Snakemake."""

    def execv(path: str, arguments: list[str]) -> NoReturn:
        head = [sys.executable, "-P", "-m", "snakemake"]
        os.execv = real
        if arguments[:4] != head:
            real(path, arguments)
        become(Program.module("snakemake", arguments[4:]), env)

    real, os.execv = os.execv, execv
    become(program, env)


def _take_streams(streams: Mapping[int, int], kept: Iterable[int]) -> None:
    """Make the descriptors in ``streams`` standard streams. Of the others only those in ``kept``
    stay. What the parent had open must not be held open here; its numbers stay taken, because
    objects of the parent may close them."""
    null = os.open(os.devnull, os.O_RDWR)
    moved = {to: os.dup(fd) for to, fd in streams.items() if fd >= 0}
    for to, fd in moved.items():
        os.dup2(fd, to)
        os.close(fd)
    for path in [*Path("/proc/self/fd").iterdir()]:
        if (fd := int(path.name)) > 2 and fd != null and fd not in kept:
            try:
                os.fstat(fd)
            except OSError:
                continue  # that of the listing
            os.dup2(null, fd, inheritable=False)
