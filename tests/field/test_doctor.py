"""``waybill doctor`` says before a run what would keep it waiting for ever."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from doors import Door


def answers(folder: Path, **config: str) -> str:
    """A PATH on which SLURM is as one meets it from a login node: commands that print what it
    prints. Its partition ``main`` may be preempted."""
    folder.mkdir()
    settings = {
        "AccountingStorageType": "accounting_storage/none", "ClusterName": "field",
        "JobRequeue": "1", "KillWait": "30 sec", "MinJobAge": "300 sec",
        "PreemptMode": "REQUEUE", "PreemptType": "preempt/partition_prio",
        "SLURM_VERSION": "23.11.4",
    } | config  # fmt: skip
    lines = ["Configuration data as of 2026-11-29T12:32:35"]
    lines += [f"{name:<23} = {value}" for name, value in settings.items()]
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "partition").write_text(
        "PartitionName=main Default=YES MaxTime=1-00:00:00 MaxMemPerNode=UNLIMITED"
        f" PreemptMode={settings['PreemptMode']} State=UP\n"
    )
    for name in ("scontrol", "sbatch", "sacct"):
        (folder / name).write_text(f'#!/bin/sh\nexec cat "{folder}/$2"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


# The executor need not be installed for the tests, and doctor says so.
RIGHT = 0 if importlib.util.find_spec("snakemake_executor_plugin_slurm") else 1


def slurm(door: Door, path: str, code: int) -> dict[str, dict[str, Any]]:
    said = door.run("doctor", "--json", command="main", code=code, PATH=path)
    rows = json.loads(said.out)["rows"]
    return {row["check"]: row for row in rows if row["scope"] == "slurm"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "slurm"


def test_F6_a_slurm_that_forgets_ended_jobs_early_is_said(door: Door, place: Path) -> None:
    row = slurm(door, answers(place, MinJobAge="120 sec"), code=1)["MinJobAge"]
    assert row["verdict"] == "fail"
    assert "a run waits for ever" in row["found"]
    assert row["set"] == "ask for MinJobAge=300 in slurm.conf"


def test_F6_a_slurm_that_remembers_is_right(door: Door, place: Path) -> None:
    rows = slurm(door, answers(place, PreemptType="preempt/none"), code=RIGHT)
    executor = rows.pop("slurm executor")
    assert executor["verdict"] in ("ok", "fail")  # the tests need none
    results = rows.pop("results on nodes")
    assert results["verdict"] in ("ok", "warn")  # whatever file system the tests run on
    assert {check: row["verdict"] for check, row in rows.items()} == dict.fromkeys(rows, "ok")
    assert "MinJobAge" in rows


def test_F6_a_job_that_is_cancelled_to_make_way_is_said(door: Door, place: Path) -> None:
    """Whatever the profile says, nobody resumes it."""
    row = slurm(door, answers(place, PreemptMode="CANCEL"), code=RIGHT)["preemption"]
    assert row["verdict"] == "warn"
    assert "the run waits for it for ever" in row["found"]
    assert "slurm_partition" in row["set"]
