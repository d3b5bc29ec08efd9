"""What SLURM says of itself, held against what the profile ``slurm`` and its executor need.

What the executor does is read from snakemake-executor-plugin-slurm 2.8.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from waybill.cli.doctor.profile import Profile, profile_file, read_profile
from waybill.cli.doctor.rows import Row, Verdict
from waybill.cli.doctor.scontrol import (
    ask,
    megabytes_of,
    minutes_of,
    parse_config,
    parse_partitions,
    seconds_of,
)

# The executor looks at its jobs again after at most 180 s, and a look takes some time itself.
LONGEST_LOOK_SECONDS = 190
# It takes sacct for squeue when SLURM forgets a job within three of its first intervals.
FIRST_LOOKS = 3
DEFAULT_MINJOBAGE_SECONDS = 300
# A job ends within a second of SIGTERM, on a busy node a little later.
GRACE_SECONDS = 5

_NOTHING = {"", "(null)", "none", "n/a"}


def is_installed() -> bool:
    """Whether this machine has the commands of SLURM."""
    return shutil.which("sbatch") is not None and shutil.which("scontrol") is not None


def check() -> Iterator[Row]:
    """The rows about the cluster that this machine belongs to, or one that says there is none."""
    if not is_installed():
        text = "no sbatch and scontrol in PATH; runs on this machine need none"
        yield Row("slurm", Verdict.UNTOLD, text)
        return
    said = ask(["scontrol", "show", "config"])
    if said.problem:
        yield silent(said.problem)
        return
    config = parse_config(said.text)
    yield cluster(config)
    profile = read_profile(profile_file())
    yield entries(profile, profile_file())
    has_sacct = shutil.which("sacct") is not None
    yield configuration_file(_says_without_variables())
    yield min_job_age(config, profile, has_sacct=has_sacct)
    yield accounting(config)
    yield kill_wait(config)
    said = ask(["scontrol", "show", "partition", "--oneliner"])
    if said.problem:
        yield Row("partitions", Verdict.FAIL, said.problem, "ask the administrators")
        return
    yield from partitions(config, parse_partitions(said.text), profile)


def _says_without_variables() -> str:
    """Why SLURM has no answer without the variables that the executor hides from jobs; ``""`` when
    it has one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return ask(["scontrol", "show", "config"], env).problem if env != dict(os.environ) else ""


def silent(problem: str) -> Row:
    """The row about a SLURM that is installed and does not answer."""
    advice = "see `scontrol ping`; or run without `--profile slurm`, and look with --local"
    return Row("slurm", Verdict.FAIL, problem, advice)


def cluster(config: Mapping[str, str]) -> Row:
    """The row that names cluster and version."""
    name, version = config.get("ClusterName"), config.get("SLURM_VERSION")
    return Row("slurm", Verdict.OK, f"cluster {name or '?'}, SLURM {version or '?'}")


def entries(profile: Profile, file: Path) -> Row:
    """The row about the profile that the other rows are held against."""
    requeue = {True: "requeue", False: "no requeue", None: "requeue as SLURM does"}
    text = f"{profile.status_command or 'sacct'}, first look after {profile.first_look} s"
    return Row("profile", Verdict.OK, f"{file}: {text}, {requeue[profile.requeue]}")


def configuration_file(problem: str) -> Row:
    """The row about slurm.conf. ``problem`` is why SLURM is silent without ``SLURM_*``."""
    if not problem:
        return Row("slurm.conf", Verdict.OK, "is found without SLURM_CONF")
    return Row(
        "slurm.conf",
        Verdict.WARN,
        f"is found through SLURM_CONF only, which the executor hides from jobs: {problem}",
        "where nodes need SLURM_CONF too, jobs fail; run the pilot instead (docs/hpc.md)",
    )


def min_job_age(config: Mapping[str, str], profile: Profile, *, has_sacct: bool) -> Row:
    """The row about the time for which SLURM remembers an ended job. When it forgets one before the
    executor looks, the run waits for ever."""
    age = seconds_of(config.get("MinJobAge"))
    if age is None:
        return Row("MinJobAge", Verdict.UNTOLD, "scontrol does not tell it")
    threshold = FIRST_LOOKS * profile.first_look
    recorded = _has_database(config)
    asked = profile.status_command or ("sacct" if has_sacct else "squeue")
    used = asked if has_sacct else "squeue"
    if asked == "squeue" and age < threshold and has_sacct:
        used = "sacct"
    least = max(threshold, LONGEST_LOOK_SECONDS)
    enough = f"ask for MinJobAge={max(least, DEFAULT_MINJOBAGE_SECONDS)} in slurm.conf"
    if LONGEST_LOOK_SECONDS <= age < threshold:
        enough = f"set slurm-init-seconds-before-status-checks: {age // FIRST_LOOKS}"
    if asked == "sacct":
        enough = "set slurm-status-command: squeue"
    text = f"{age} s"
    if used == "sacct" and not recorded:
        why = f"{text}, so the executor asks sacct, which has no accounting database here"
        return Row("MinJobAge", Verdict.FAIL, f"{why}: a run waits for ever", enough)
    if used == "sacct":
        why = "the executor asks sacct, and waits for ever for a job that was cancelled"
        return Row("MinJobAge", Verdict.WARN, f"{text}; {why}", enough)
    if 0 < age < LONGEST_LOOK_SECONDS:
        why = f"looks at the queue are up to {LONGEST_LOOK_SECONDS} s apart: a run waits for ever"
        if has_sacct and recorded:
            enough += "; till then --slurm-status-command sacct"
        return Row("MinJobAge", Verdict.FAIL, f"{text}, and {why} for a job missed", enough)
    return Row("MinJobAge", Verdict.OK, f"{text} ({least} are needed)" if age else "never forgets")


def accounting(config: Mapping[str, str]) -> Row:
    """The row about accounting, which the profile does without."""
    kind = config.get("AccountingStorageType", "")
    enforce = config.get("AccountingStorageEnforce", "")
    text = kind.removeprefix("accounting_storage/") if _has_database(config) else "no database"
    if {"associations", "limits", "qos", "safe"} & set(enforce.lower().split(",")):
        return Row(
            "accounting",
            Verdict.OK,
            f"{text}; jobs need an account ({enforce})",
            "without a default account of yours: --default-resources slurm_account=NAME ...",
        )
    return Row("accounting", Verdict.OK, f"{text}; the profile needs none")


def kill_wait(config: Mapping[str, str]) -> Row:
    """The row about the time between SIGTERM and SIGKILL."""
    wait = seconds_of(config.get("KillWait"))
    if wait is None:
        return Row("KillWait", Verdict.UNTOLD, "scontrol does not tell it")
    if wait >= GRACE_SECONDS:
        return Row("KillWait", Verdict.OK, f"{wait} s")
    return Row(
        "KillWait",
        Verdict.WARN,
        f"{wait} s: a job may be killed before its journal is written, and sends some bytes again",
        "ask for KillWait=30 in slurm.conf",
    )


def partitions(
    config: Mapping[str, str], found: Sequence[Mapping[str, str]], profile: Profile
) -> Iterator[Row]:
    """The rows about partitions: the one that jobs go to, its limits, preemption in each."""
    taken = _partition(found, profile.partition)
    yield _place(found, taken, profile.partition)
    if taken is not None:
        yield time_limit(taken, profile)
        yield memory(config, taken, profile)
    yield preemption(config, found, taken, profile)


def time_limit(partition: Mapping[str, str], profile: Profile) -> Row:
    """The row about the time limit of a job."""
    most = minutes_of(partition.get("MaxTime"))
    option = "--set-resources upload:runtime=MINUTES, or another partition"
    return _fits("MaxTime", most, profile.runtime, "min", option)


def memory(config: Mapping[str, str], partition: Mapping[str, str], profile: Profile) -> Row:
    """The row about the memory of a job."""
    most = megabytes_of(partition.get("MaxMemPerNode"))
    if most is None:
        most = megabytes_of(config.get("MaxMemPerNode"))
    if most is None and "MaxMemPerCPU" in partition:  # SLURM gives a job more CPUs for its memory
        most = math.inf
    option = "--set-resources upload:mem_mb=MB, or another partition"
    return _fits("MaxMemPerNode", most, profile.mem_mb, "MB", option)


def preemption(
    config: Mapping[str, str],
    found: Sequence[Mapping[str, str]],
    taken: Mapping[str, str] | None,
    profile: Profile,
) -> Row:
    """The row about jobs that have to make way for others. The executor takes a job that is
    preempted for one that SLURM will resume: if SLURM does not, the run waits for ever."""
    kind = config.get("PreemptType", "").removeprefix("preempt/")
    if kind.lower() in _NOTHING:
        return Row("preemption", Verdict.OK, "none (PreemptType)")
    own = _mode(taken or {}, config)
    modes: dict[str, list[str]] = {}
    for each in found:
        modes.setdefault(_mode(each, config), []).append(each.get("PartitionName", "?"))
    told = ", ".join(f"{mode} ({', '.join(names)})" for mode, names in modes.items()) or own
    text = f"PreemptType {kind}, PreemptMode {told}"
    if taken and kind == "partition_prio" and _is_first(taken, found):
        name = taken.get("PartitionName")
        return Row("preemption", Verdict.OK, f"{text}; no partition goes before {name}")
    requeue = profile.requeue
    if requeue is None:
        requeue = config.get("JobRequeue", "1") != "0"
    lost = not requeue and "REQUEUE" in own
    if "CANCEL" in own:
        advice = "take a partition without preemption: --default-resources slurm_partition=NAME ..."
    elif lost:
        advice = "set slurm-requeue: true in the profile, in place of slurm-no-requeue"
    elif kind == "qos":
        advice = "see `sacctmgr show qos format=name,preemptmode`: it should not say cancel"
        return Row("preemption", Verdict.OK, f"{text}; a QOS may say otherwise", advice)
    else:
        return Row("preemption", Verdict.OK, f"{text}; a preempted job comes back")
    why = "a preempted job is cancelled, and the run waits for it for ever"
    return Row("preemption", Verdict.WARN, f"{text}: {why}", advice)


def _mode(partition: Mapping[str, str], config: Mapping[str, str]) -> str:
    return partition.get("PreemptMode", config.get("PreemptMode", "OFF")).upper()


def _is_first(partition: Mapping[str, str], found: Sequence[Mapping[str, str]]) -> bool:
    """Whether no partition has a higher priority; False when one does not tell."""
    tiers = [each.get("PriorityTier", "") for each in (partition, *found)]
    return all(map(str.isdecimal, tiers)) and int(tiers[0]) >= max(map(int, tiers))


def _has_database(config: Mapping[str, str]) -> bool:
    return config.get("AccountingStorageType", "").endswith("slurmdbd")


def _partition(found: Sequence[Mapping[str, str]], name: str | None) -> Mapping[str, str] | None:
    """The partition ``name``, or the default one; None when there is none."""
    for each in found:
        if each.get("PartitionName") == name or (name is None and each.get("Default") == "YES"):
            return each
    return None


def _place(
    found: Sequence[Mapping[str, str]], taken: Mapping[str, str] | None, name: str | None
) -> Row:
    names = ", ".join(each.get("PartitionName", "?") for each in found) or "none"
    advice = f"name one: --default-resources slurm_partition=NAME ...; there are {names}"
    if taken is None:
        what = "there is no default partition" if name is None else f"there is no {name}"
        return Row("partition", Verdict.FAIL, what, advice)
    text = f"{taken['PartitionName']}, {taken.get('State', 'state not told')}"
    if taken.get("State", "UP") != "UP":
        return Row("partition", Verdict.FAIL, text, advice)
    return Row("partition", Verdict.OK, text if name else f"{text}, the default")


def _fits(
    check: str, most: float | None, needs: tuple[int, int] | None, unit: str, option: str
) -> Row:
    """The row about a limit and what the first and the last attempt of a job ask for."""
    if most is None:
        return Row(check, Verdict.UNTOLD, "scontrol does not tell it")
    limit = "unlimited" if most == math.inf else f"{most:g} {unit}"
    if needs is None:
        return Row(check, Verdict.UNTOLD, f"{limit}; the profile does not tell what jobs ask for")
    first, last = needs
    if first > most:
        text = f"{limit}, and a job asks for {first} {unit}: it never starts"
        return Row(check, Verdict.FAIL, text, option)
    if last > most:
        text = f"{limit}, and a last attempt asks for {last} {unit}: it never starts"
        return Row(check, Verdict.WARN, text, option)
    return Row(check, Verdict.OK, f"{limit} (jobs ask for up to {last} {unit})")
