"""The entries of the profile ``slurm`` that count for a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from waybill.stages.run_inputs import MEM_MB, RUNTIME_MINUTES
from waybill.system.resources import project_root

DEFAULT_FIRST_LOOK_SECONDS = 40


class Profile(NamedTuple):
    """The entries of a Snakemake profile that count here. ``requeue`` is None when SLURM decides
    (JobRequeue); ``mem_mb`` and ``runtime`` (minutes) are those of the first attempt and of the
    last."""

    status_command: str | None = None
    first_look: int = DEFAULT_FIRST_LOOK_SECONDS
    requeue: bool | None = None
    mem_mb: tuple[int, int] | None = None
    runtime: tuple[int, int] | None = None
    partition: str | None = None


def profile_file() -> Path:
    """The profile ``slurm`` that comes with Waybill."""
    return project_root() / "workflow" / "profiles" / "slurm" / "config.yaml"


def read_profile(file: Path) -> Profile:
    """The profile in ``file``. Raises OSError when it cannot be read, ValueError when it is not
    YAML."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not valid YAML") from error
    return profile_of(found if isinstance(found, dict) else {})


def profile_of(entries: Mapping[str, Any]) -> Profile:
    """The entries of a profile, and what the rules ask for in the first attempt and the last."""
    resources = entries.get("default-resources") or {}
    if isinstance(resources, list):
        resources = dict(str(each).split("=", 1) for each in resources if "=" in str(each))
    retries = entries.get("retries", 0)
    attempts = retries + 1 if isinstance(retries, int) else 1
    first = entries.get("slurm-init-seconds-before-status-checks", DEFAULT_FIRST_LOOK_SECONDS)
    if isinstance(first, str) and (usual := re.match(r"\?(\d+) if ", first)):
        first = int(usual[1])  # an expression, which the executor's package would decide
    requeue = True if entries.get("slurm-requeue") else None
    partition = resources.get("slurm_partition")
    return Profile(
        status_command=entries.get("slurm-status-command"),
        first_look=first if isinstance(first, int) else DEFAULT_FIRST_LOOK_SECONDS,
        requeue=False if entries.get("slurm-no-requeue") else requeue,
        mem_mb=(MEM_MB, MEM_MB * attempts),
        runtime=(RUNTIME_MINUTES, RUNTIME_MINUTES * attempts),
        partition=None if partition is None else str(partition),
    )
