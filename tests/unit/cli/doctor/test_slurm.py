"""What is said of a cluster, from answers of scontrol in the form that SLURM gives them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest

from waybill.cli.doctor import profile, scontrol, slurm
from waybill.cli.doctor.profile import Profile
from waybill.cli.doctor.rows import Row, Verdict

CONFIG = """\
Configuration data as of 2026-11-29T12:32:35
AccountingStorageEnforce = none
AccountingStorageType   = accounting_storage/none
AuthInfo                = socket=/run/munge/munge.socket.2
ClusterName             = waybill
DefMemPerNode           = UNLIMITED
JobRequeue              = 1
KillWait                = 30 sec
MaxMemPerNode           = UNLIMITED
MinJobAge               = 300 sec
PowerPlugin             =
PreemptMode             = OFF
PreemptType             = preempt/none
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at login1 is UP
"""
PARTITIONS = """\
PartitionName=main AllowGroups=ALL Default=YES QoS=N/A DefaultTime=01:00:00 MaxTime=UNLIMITED \
Nodes=n[1-4] PreemptMode=OFF State=UP MaxMemPerNode=UNLIMITED TRES=cpu=64,mem=128G
PartitionName=short AllowGroups=ALL Default=NO QoS=N/A DefaultTime=NONE MaxTime=04:00:00 \
Nodes=n4 PreemptMode=OFF State=UP JobDefaults=(null) MaxMemPerNode=2048 TRES=cpu=16,mem=32G
"""
PROFILE = Profile("squeue", 10, True, (1024, 3072), (240, 720))


def config(**changed: str) -> dict[str, str]:
    return scontrol.parse_config(CONFIG) | changed


def partition(**changed: str) -> dict[str, str]:
    return scontrol.parse_partitions(PARTITIONS)[0] | changed


def age(seconds: str, profile: Profile = PROFILE, *, sacct: bool = True, dbd: bool = False) -> Row:
    kind = "accounting_storage/slurmdbd" if dbd else "accounting_storage/none"
    said = config(MinJobAge=seconds, AccountingStorageType=kind)
    return slurm.min_job_age(said, profile, has_sacct=sacct)


def test_the_answers_are_read() -> None:
    said = scontrol.parse_config(CONFIG)
    assert said["ClusterName"] == "waybill"
    assert said["AuthInfo"] == "socket=/run/munge/munge.socket.2"
    assert said["PowerPlugin"] == ""
    main, short = scontrol.parse_partitions(PARTITIONS)
    assert (main["PartitionName"], main["Default"], main["MaxTime"]) == ("main", "YES", "UNLIMITED")
    assert short["TRES"] == "cpu=16,mem=32G"
    several = PARTITIONS.replace(" ", "\n   ")  # without --oneliner
    assert scontrol.parse_partitions(several) == [main, short]
    assert scontrol.parse_config("") == {}
    assert scontrol.parse_partitions("slurm_load_partitions error: x=1") == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300 sec", 300), ("300", 300), ("5 min", 300), ("1h", 3600), ("0 sec", 0), ("", None),
     ("UNLIMITED", None), ("3 weeks", None), (None, None)],
)  # fmt: skip
def test_spans(text: str | None, seconds: int | None) -> None:
    assert scontrol.seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("UNLIMITED", math.inf), ("04:00:00", 240), ("7-00:00:00", 10080), ("1-12", 2160),
     ("60", 60), ("90:30", 90.5), ("1-02:30", 1590), ("NONE", None), ("", None), (None, None)],
)  # fmt: skip
def test_time_limits(text: str | None, minutes: float | None) -> None:
    assert scontrol.minutes_of(text) == minutes


def test_min_job_age_that_is_long_enough() -> None:
    assert age("300 sec") == Row("MinJobAge", Verdict.OK, "300 s (190 are needed)")
    assert age("190 sec").verdict is Verdict.OK
    assert age("0 sec", sacct=False).found == "never forgets"


def test_min_job_age_between_two_looks() -> None:
    row = age("120 sec")
    assert row.verdict is Verdict.FAIL
    assert "up to 190 s apart" in row.found
    assert row.advice == "ask for MinJobAge=300 in slurm.conf"
    assert age("189 sec").verdict is Verdict.FAIL
    assert age("120 sec", dbd=True).advice.endswith("--slurm-status-command sacct")


def test_min_job_age_for_which_the_executor_turns_to_sacct() -> None:
    """It does so below three first looks, whether sacct has a database or not."""
    assert age("20 sec").found.endswith("no accounting database here: a run waits for ever")
    assert age("20 sec", dbd=True).verdict is Verdict.WARN
    assert age("20 sec", sacct=False).verdict is Verdict.FAIL
    assert age("0 sec").verdict is Verdict.FAIL
    slow = age("300 sec", PROFILE._replace(first_look=120))
    assert slow.verdict is Verdict.FAIL
    assert slow.advice == "set slurm-init-seconds-before-status-checks: 100"


def test_min_job_age_of_a_profile_that_names_sacct_or_nothing() -> None:
    for named in ("sacct", None):
        row = age("300 sec", PROFILE._replace(status_command=named))
        assert (row.verdict, row.advice) == (Verdict.FAIL, "set slurm-status-command: squeue")
        assert age("300 sec", PROFILE._replace(status_command=named), sacct=False).verdict == "ok"


@pytest.mark.parametrize("said", ["", "soon"])
def test_what_scontrol_does_not_tell_is_not_right(said: str) -> None:
    assert age(said).verdict is Verdict.UNTOLD
    assert slurm.kill_wait({"KillWait": said}).verdict is Verdict.UNTOLD
    assert slurm.time_limit({"MaxTime": said}, PROFILE).verdict is Verdict.UNTOLD
    assert slurm.memory({}, {"MaxMemPerNode": said}, PROFILE).verdict is Verdict.UNTOLD


def preempted(mode: str, requeue: bool | None, **changed: str) -> Row:
    said = config(PreemptType="preempt/partition_prio", PreemptMode="REQUEUE", **changed)
    taken = partition(PreemptMode=mode)
    other = partition(PartitionName="other", PreemptMode="OFF")
    profile = PROFILE._replace(requeue=requeue)
    return slurm.preemption(said, [taken, other], taken, profile)


@pytest.mark.parametrize(
    ("mode", "requeue", "verdict"),
    [("OFF", False, "ok"), ("REQUEUE", True, "ok"), ("REQUEUE", None, "ok"),
     ("REQUEUE", False, "warn"), ("CANCEL", True, "warn"), ("SUSPEND", False, "ok"),
     ("GANG,SUSPEND", False, "ok")],
)  # fmt: skip
def test_preemption(mode: str, requeue: bool | None, verdict: str) -> None:
    row = preempted(mode, requeue)
    assert row.verdict == verdict
    told = "OFF (main, other)" if mode == "OFF" else f"{mode} (main), OFF (other)"
    assert f"PreemptMode {told}" in row.found
    assert bool(row.advice) == (verdict == "warn")


def test_a_partition_that_nothing_goes_before() -> None:
    said = config(PreemptType="preempt/partition_prio", PreemptMode="CANCEL")
    taken, other = (partition(PriorityTier=tier, PreemptMode="CANCEL") for tier in ("2", "10"))
    assert slurm.preemption(said, [taken, other], taken, PROFILE).verdict is Verdict.WARN
    first = slurm.preemption(said, [taken, other], other, PROFILE)
    assert (first.verdict, "no partition goes before" in first.found) == (Verdict.OK, True)
    del other["PriorityTier"]
    assert slurm.preemption(said, [taken, other], taken, PROFILE).verdict is Verdict.WARN


def test_preemption_where_slurm_decides_about_requeue() -> None:
    row = preempted("REQUEUE", None, JobRequeue="0")
    assert row.verdict is Verdict.WARN
    assert "slurm-requeue: true" in row.advice
    for none in ("preempt/none", "(null)", ""):
        said = config(PreemptType=none)
        assert slurm.preemption(said, [], None, PROFILE).found == "none (PreemptType)"


def test_preemption_by_quality_of_service() -> None:
    said = config(PreemptType="preempt/qos", PreemptMode="REQUEUE")
    taken = partition(PreemptMode="REQUEUE")
    row = slurm.preemption(said, [taken], taken, PROFILE)
    assert (row.verdict, "sacctmgr" in row.advice) == (Verdict.OK, True)


def placed(text: str, profile: Profile = PROFILE) -> dict[str, Row]:
    found = slurm.partitions(config(), scontrol.parse_partitions(text), profile)
    return {row.check: row for row in found}


def test_the_default_partition() -> None:
    rows = placed(PARTITIONS)
    assert rows["partition"].found == "main, UP, the default"
    assert {row.verdict for row in rows.values()} == {Verdict.OK}


def test_no_default_partition() -> None:
    rows = placed(PARTITIONS.replace("Default=YES", "Default=NO"))
    assert rows["partition"].verdict is Verdict.FAIL
    assert rows["partition"].advice.endswith("there are main, short")
    assert "MaxTime" not in rows
    assert placed("")["partition"].advice.endswith("there are none")
    down = placed(PARTITIONS.replace("State=UP", "State=DOWN"))
    assert (down["partition"].verdict, down["partition"].found) == (Verdict.FAIL, "main, DOWN")


def test_a_partition_of_the_profile_and_its_limits() -> None:
    rows = placed(PARTITIONS, PROFILE._replace(partition="short"))
    assert rows["partition"].found == "short, UP"
    assert rows["MaxTime"].verdict is rows["MaxMemPerNode"].verdict is Verdict.WARN
    assert rows["MaxTime"].found.startswith("240 min, and a last attempt asks for 720 min")
    large = PROFILE._replace(partition="short", mem_mb=(4096, 4096), runtime=(300, 300))
    rows = placed(PARTITIONS, large)
    assert rows["MaxTime"].verdict is rows["MaxMemPerNode"].verdict is Verdict.FAIL
    unknown = PROFILE._replace(partition="none")
    assert placed(PARTITIONS, unknown)["partition"].found == "there is no none"
    silent = placed(PARTITIONS, PROFILE._replace(mem_mb=None))
    assert silent["MaxMemPerNode"].verdict is Verdict.UNTOLD


def test_kill_wait_and_accounting() -> None:
    assert slurm.kill_wait({"KillWait": "30 sec"}).verdict is Verdict.OK
    assert slurm.kill_wait({"KillWait": "1 sec"}).verdict is Verdict.WARN
    assert slurm.accounting(config()).found == "no database; the profile needs none"
    row = slurm.accounting(
        config(
            AccountingStorageType="accounting_storage/slurmdbd",
            AccountingStorageEnforce="associations,limits",
        )
    )
    assert "slurm_account" in row.advice


def test_the_profile() -> None:
    given = {
        "slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 10,
        "slurm-requeue": True, "retries": 2,
        "default-resources": {"slurm_partition": "p"},
    }  # fmt: skip
    assert profile.profile_of(given) == Profile("squeue", 10, True, (1024, 3072), (240, 720), "p")
    listed = {"slurm-no-requeue": True, "default-resources": ["slurm_partition=q"]}
    assert profile.profile_of(listed) == Profile(None, 40, False, (1024, 1024), (240, 240), "q")


def test_the_profile_of_waybill_is_understood(tmp_path: Path) -> None:
    found = profile.read_profile(profile.profile_file())
    assert found.status_command == "squeue"
    assert found.requeue is not None
    assert age("300 sec", found).verdict is Verdict.OK
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="not valid YAML"):
        profile.read_profile(tmp_path / "config.yaml")


def command(folder: Path, text: str) -> str:
    path = folder / "scontrol"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_and_its_failures(tmp_path: Path) -> None:
    assert scontrol.ask([command(tmp_path, "echo A = 1")]) == ("A = 1\n", "")
    said = scontrol.ask([command(tmp_path, "echo early >&2; echo 'fatal: no\tconf' >&2; exit 1")])
    assert said.problem == "fatal: no\\tconf"
    assert scontrol.ask([command(tmp_path, "exit 3")]).problem.endswith("scontrol ended with 3")
    assert scontrol.ask([str(tmp_path / "none")]).problem.endswith(
        "none: No such file or directory"
    )


def test_a_command_that_hangs_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scontrol, "ASK_SECONDS", 1)
    pid = tmp_path / "pid"
    begun = time.monotonic()
    said = scontrol.ask([command(tmp_path, f"sleep 600 & echo $! > {pid}; wait"), "show", "config"])
    assert said.problem.endswith("scontrol show config: no answer within 1 s")
    assert time.monotonic() - begun < 60
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid.read_text().strip()}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the sleep goes on")


def test_a_slurm_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, "echo 'scontrol: fatal: Could not establish a source' >&2; exit 1")
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (row,) = slurm.check()
    assert (row.check, row.verdict) == ("slurm", Verdict.FAIL)
    assert "Could not establish" in row.found
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    (row,) = slurm.check()
    assert row.verdict is Verdict.UNTOLD


def test_a_slurm_that_only_a_variable_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor hides SLURM_* from the srun in its jobs."""
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "partition").write_text(PARTITIONS)
    command(
        tmp_path,
        f'[ "$SLURM_CONF" ] || {{ echo "fatal: no source" >&2; exit 1; }}; cat {tmp_path}/$2',
    )
    (tmp_path / "sbatch").touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    rows = {row.check: row for row in slurm.check()}
    assert rows["slurm.conf"].verdict is Verdict.WARN
    assert "fatal: no source" in rows["slurm.conf"].found
    assert rows["slurm"].found == "cluster waybill, SLURM 22.05.8"
    assert rows["partition"].verdict is Verdict.OK
