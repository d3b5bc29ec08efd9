"""Becomes the command it is given, and sees to it that nothing of that outlives who started it.

    python leash.py FD COMMAND ARGUMENT...

FD is the reading end of a pipe whose writing end only the starter has. It closes when the starter
ends, however it ends; ``kill -9`` leaves no other trace. A watcher waits for that and then kills
the process group it is in, which is that of the command and of all the command has started: the
jobs of Snakemake too, of which no signal for a parent's death (PR_SET_PDEATHSIG) would reach more
than the first. The starter has to make the command the leader of a group of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

_NOT_FOR_THE_WATCHER = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


def main(arguments: list[str]) -> NoReturn:
    """Leave a watcher behind and become the command."""
    lifeline, command = int(arguments[0]), arguments[1:]
    leader = os.getpid()
    if os.getpgrp() != leader:
        sys.exit("leash: not the leader of a process group")
    # A signal between the fork and what the watcher does about signals would end it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_THE_WATCHER)
    if os.fork() == 0:
        _watch(lifeline)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOT_FOR_THE_WATCHER)
    os.close(lifeline)
    os.execv(command[0], command)


def _watch(lifeline: int) -> NoReturn:
    for number in _NOT_FOR_THE_WATCHER:
        signal.signal(number, signal.SIG_IGN)
    # Whoever reads what the command says waits until nobody can say anything any more.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    while os.read(lifeline, 1):
        pass
    # This group is there as long as its watcher is, so it cannot be another one by now.
    os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
