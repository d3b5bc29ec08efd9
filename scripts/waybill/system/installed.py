"""Identifies the code of Waybill that runs, so that no job of a run has other code than the run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import waybill
from waybill.model.errors import WaybillError

_PACKAGE = Path(waybill.__file__).resolve().parent
_RUN = "WAYBILL_CODE"  # the variable that tells jobs what their run was started with


def tree() -> Path:
    """The folder from which Python takes the package; it has to be on Python's search path."""
    return _PACKAGE.parent


def tell_jobs(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have the jobs that this process starts check that they run the same code."""
    environment[_RUN] = f"{identity()} {_stamp()} {_PACKAGE}"


def check_job(environment: MutableMapping[str, str] = os.environ) -> None:
    """Raise WaybillError when this job runs other code than the run that started it. Copies in
    different folders are the same code when all modules have the same content."""
    told = environment.get(_RUN, "").split(" ", 2)
    if len(told) != 3:  # a cluster that hands no variables on
        return
    content, stamp, package = told
    if (stamp, package) == (_stamp(), str(_PACKAGE)) or content == (own := identity()):
        return
    raise WaybillError(
        f"this job would run waybill {own} of {_PACKAGE}, and the run was started with waybill"
        f" {content} of {package}; see that both are one and run again"
    )


def _modules() -> Iterator[Path]:
    for folder, folders, names in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def identity() -> str:
    """Version and digest of all modules: 0.1.0+febde3917551."""
    digest = hashlib.sha256()
    for path in _modules():
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes())
    return f"{waybill.__version__}+{digest.hexdigest()[:12]}"


def _stamp() -> str:
    """Digest of the times and sizes of all modules: a tenth of the time of ``identity``."""
    digest = hashlib.sha256()
    for path in _modules():
        found = path.stat()
        digest.update(f"{path}\0{found.st_mtime_ns}\0{found.st_size}\0".encode())
    return digest.hexdigest()[:12]
