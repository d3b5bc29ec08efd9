"""Becomes a command, and has all processes of this command killed when their starter ends.

    python leash.py FD COMMAND ARGUMENT...

FD is the reading end of a pipe. Only the starter has the writing end, so the pipe closes when the
starter ends in any way, even by ``kill -9``. A watcher waits for that, then kills its process
group: the command, and all that the command has started, such as the jobs of Snakemake. (A signal
for the death of a parent, PR_SET_PDEATHSIG, would reach only the first process.) The starter has to
make the command the leader of a process group of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

_NOT_FOR_THE_WATCHER = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


def main(arguments: list[str]) -> NoReturn:
    """Start the watcher and become the command."""
    lifeline, command = int(arguments[0]), arguments[1:]
    leader = os.getpid()
    if os.getpgrp() != leader:
        sys.exit("leash: not the leader of a process group")
    # A signal would end the watcher before it ignores signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_THE_WATCHER)
    if os.fork() == 0:
        _watch(lifeline)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOT_FOR_THE_WATCHER)
    os.close(lifeline)
    os.execv(command[0], command)


def _watch(lifeline: int) -> NoReturn:
    for number in _NOT_FOR_THE_WATCHER:
        signal.signal(number, signal.SIG_IGN)
    # A reader of the command's output waits until no process has that output open.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    while os.read(lifeline, 1):
        pass
    # The group exists as long as its watcher does, so this number is of no other group.
    os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
