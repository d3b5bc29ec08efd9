"""Asks ``scontrol`` and parses its answers.

``scontrol show config`` prints one ``Name = value`` a line, ``scontrol show partition`` a record
for each partition, with ``Name=value`` between blanks (scontrol(1); the values are those of
slurm.conf(5)).
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from waybill.model.errors import one_line

ASK_SECONDS = 15  # for one answer of scontrol

_SECONDS = {"": 1, "s": 1, "sec": 1, "secs": 1, "m": 60, "min": 60, "mins": 60, "h": 3600}


class Said(NamedTuple):
    """What a command printed; ``problem`` is why it failed, ``""`` when it did not."""

    text: str
    problem: str = ""


def ask(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Said:
    """Run a command. Its whole process group is killed after ``ASK_SECONDS``."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=env,
                process_group=0,
            )  # fmt: skip
        except OSError as error:
            return Said("", f"{arguments[0]}: {error.strerror or error}")
        try:
            code = process.wait(ASK_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Said("", f"{' '.join(arguments)}: no answer within {ASK_SECONDS} s")
        out.seek(0)
        errors.seek(0)
        text = out.read().decode(errors="replace")
        last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    return Said(text, one_line(last) or f"{arguments[0]} ended with {code}" if code else "")


def parse_config(text: str) -> dict[str, str]:
    """The settings in the answer of ``scontrol show config``, by name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip():
            found.setdefault(name.strip(), value.strip())
    return found


def parse_partitions(text: str) -> list[dict[str, str]]:
    """The partitions in the answer of ``scontrol show partition``, each as its fields by name."""
    found: list[dict[str, str]] = []
    for name, value in re.findall(r"(\w+)=(\S*)", text):
        if name == "PartitionName":
            found.append({})
        if found:
            found[-1].setdefault(name, value)
    return found


def seconds_of(text: str | None) -> int | None:
    """A span such as ``300 sec``, ``5 min`` or ``300``, in seconds; None for anything else."""
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", (text or "").strip().lower(), re.ASCII)
    factor = _SECONDS.get(match[2]) if match else None
    return int(match[1]) * factor if match and factor else None


def minutes_of(text: str | None) -> float | None:
    """A time limit such as ``1-00:00:00``, ``04:00:00``, ``30:00`` or ``60`` (minutes), in minutes;
    infinite for ``UNLIMITED``, None for anything else."""
    text = (text or "").strip().upper()
    if text in ("UNLIMITED", "INFINITE"):
        return math.inf
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text, re.ASCII)
    if match is None:
        return None
    days, *rest = match.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is None and len(parts) < 3:  # minutes, or minutes:seconds
        parts.insert(0, 0)
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60


def megabytes_of(text: str | None) -> float | None:
    """A size in MB such as ``64000`` or ``UNLIMITED`` (infinite); None for anything else."""
    text = (text or "").strip().upper()
    if text in ("UNLIMITED", "INFINITE"):
        return math.inf
    return int(text) if text.isdecimal() else None
