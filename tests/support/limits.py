"""What a process of a test may do: root reads what it has no permission for, and a disk is rarely
full."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import NamedTuple

_PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522  # of capset
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


class Limits(NamedTuple):
    """With ``permissions``, those of files hold, for root too. No file may become larger than
    ``file_bytes``: a full disk for those that would."""

    permissions: bool = False
    file_bytes: int | None = None

    def impose(self) -> None:
        """On this process and what it starts, be it by fork alone or another program."""
        if self.permissions and os.geteuid() == 0:
            _give_up(_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH)
        if self.file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_bytes, self.file_bytes))


def _give_up(*capabilities: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: of 32 capabilities, twice
    if libc.capget(head, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for capability in capabilities:
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")
        for index in range(3):
            sets[index] &= ~(1 << capability)
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")
