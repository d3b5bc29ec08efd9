"""Each use of Snakemake's insides, in real runs of small workflows."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.warm import Fork
from support.workflow import SNAKEFILE

SCRIPTS = str(SNAKEFILE.parent / "scripts")

HEAD = f"""
import json, os, sys
sys.path.insert(0, {SCRIPTS!r})
from pathlib import Path
from waybill.stages.snakemake_private import Snakemake

snakemake_ = Snakemake(workflow)

def tell(name, value):
    with open("told.jsonl", "a") as file:
        file.write(json.dumps([name, value, os.getpid()]) + "\\n")
"""

RULES = """
def seen(wildcards):
    tell("executes", snakemake_.executes)
    tell("dry", snakemake_.is_dry_run)
    tell("touches", snakemake_.touches)
    tell("targets", sorted(snakemake_.targets))
    tell("until", sorted(snakemake_.until))
    tell("omitted", sorted(snakemake_.omitted))
    tell("triggers", sorted(snakemake_.rerun_triggers))
    tell("latency", snakemake_.latency_seconds)
    tell("record", snakemake_.has_record("made.txt"))
    tell("local", snakemake_.jobs_are_local)
    return ["made.txt"]

rule all:
    input: seen

rule make:
    output: "made.txt"
    shell: "date +%N > {output}"
"""


MORE = """
rule more:
    input: "made.txt"
    output: "more.txt"
    shell: "touch {output}"
"""


def snakemake(folder: Path, text: str, *options: str, code: int = 0) -> dict[str, list[Any]]:
    """Run a Snakefile; returns what it has told, by name, in order."""
    (folder / "Snakefile").write_text(HEAD + text)
    told = folder / "told.jsonl"
    told.unlink(missing_ok=True)
    log = folder / "output.log"
    with log.open("w+b") as file:
        arguments = ["--cores", "1", *options]
        run = Fork(arguments, cwd=folder, env=os.environ, log=file)
        assert run.wait(100) == code, log.read_text()[-3000:]
    output = log.read_text()
    found: dict[str, list[Any]] = {"output": [output]}
    for line in told.read_text().splitlines() if told.exists() else ():
        name, value, _ = json.loads(line)
        found.setdefault(name, []).append(value)
    return found


def test_what_was_asked_for(tmp_path: Path) -> None:
    told = snakemake(
        tmp_path, RULES, "all", "--latency-wait", "7", "--rerun-triggers", "mtime", "params"
    )
    assert told["executes"][-1] and not told["dry"][-1] and not told["touches"][-1]
    assert told["targets"][-1] == ["all"] and told["until"][-1] == told["omitted"][-1] == []
    assert told["triggers"][-1] == ["mtime", "params"] and told["latency"][-1] == 7
    assert told["record"][0] is False and told["local"][-1] is True
    told = snakemake(tmp_path, RULES, "-n", "--until", "make", "--omit-from", "all")
    assert told["dry"][-1] and not told["executes"][-1]
    assert told["until"][-1] == ["make"] and told["omitted"][-1] == ["all"]
    assert told["record"][-1] is True
    assert snakemake(tmp_path, RULES, "--touch")["touches"][-1]
    for graph in ("--dag", "--summary"):
        told = snakemake(tmp_path, RULES, graph)
        assert not told["executes"][-1] and not told["dry"][-1]


@pytest.mark.parametrize(("code", "options", "ends"), [(3, ["-n"], 3), (0, ["-n"], 0), (3, [], 0)])
def test_a_dry_run_may_end_with_another_exit_code(
    tmp_path: Path, code: int, options: list[str], ends: int
) -> None:
    told = snakemake(
        tmp_path, f"snakemake_.end_dry_run(lambda: {code})\n" + RULES, *options, code=ends
    )
    assert "make" in told["output"][0]


def test_main_process_and_main_folder(tmp_path: Path) -> None:
    text = """
tell("main", snakemake_.is_main_process)
tell("folder", str(snakemake_.main_folder))
rule all:
    output: "made.txt"
    run:
        open(output[0], "w").close()
"""
    told = snakemake(tmp_path, text)
    assert told["main"][0] is True and False in told["main"]  # the process of `run`
    assert set(told["folder"]) == {str(tmp_path.resolve())}


def test_a_host_gives_rules_other_names(tmp_path: Path) -> None:
    """Told also when the graph is built, when Snakemake works on the host's Snakefile again."""
    module = """
def seen(wildcards):
    tell("host", snakemake_.in_host)
    tell("name", snakemake_.named("make"))
    return []

rule make:
    input: seen
    output: "made.txt"
    shell: "touch {output}"
"""
    (tmp_path / "module.smk").write_text(HEAD + module)
    host = """
module ours:
    snakefile: "module.smk"

use rule * from ours as ours_*
tell("host", snakemake_.in_host)
"""
    told = snakemake(tmp_path, host, "ours_make")
    assert told["host"][0] is False and told["host"][-1] is True
    assert set(told["name"]) == {"ours_make"}


def test_force_and_until(tmp_path: Path) -> None:
    text = RULES.replace(
        'tell("executes", snakemake_.executes)',
        'snakemake_.force("made.txt") if config.get("force") else None\n'
        '    snakemake_.forget_until() if config.get("forget") else None',
    )
    made = tmp_path / "made.txt"
    snakemake(tmp_path, text)
    before = made.read_text()
    snakemake(tmp_path, text)
    assert made.read_text() == before
    snakemake(tmp_path, text, "--config", "force=1")
    assert made.read_text() != before
    more = text.replace('return ["made.txt"]', 'return ["more.txt"]') + MORE
    snakemake(tmp_path, more, "--until", "make")
    assert not (tmp_path / "more.txt").exists()
    snakemake(tmp_path, more, "--until", "make", "--config", "forget=1")
    assert (tmp_path / "more.txt").exists()


def test_records_are_dropped(tmp_path: Path) -> None:
    snakemake(tmp_path, RULES)
    text = RULES.replace(
        "rule all:", "onstart:\n    snakemake_.drop_record(Path('made.txt'))\n\nrule all:"
    )
    snakemake(tmp_path, text, "-R", "all")
    assert snakemake(tmp_path, RULES)["record"] == [False]


def test_a_left_backup_does_not_stop_a_job(tmp_path: Path) -> None:
    text = """
onstart:
    snakemake_.drop_backup(Path("out")) if config.get("drop") else None

rule all:
    output: update(directory("out"))
    params: start=config.get("number", 0)
    shell: "mkdir -p {output}; date +%N > {output}/x"
"""
    snakemake(tmp_path, text)
    backup = tmp_path / ".snakemake" / "backups" / "out"
    shutil.copytree(tmp_path / "out", backup)  # as a killed run leaves it
    snakemake(tmp_path, text, "--config", "number=10", code=1)
    shutil.rmtree(backup, ignore_errors=True)
    shutil.copytree(tmp_path / "out", backup)
    snakemake(tmp_path, text, "--config", "number=20", "drop=1")


def test_jobs_after_a_checkpoint_are_considered_again(tmp_path: Path) -> None:
    """A forced checkpoint that changes nothing makes no later job run."""
    text = """
def after(wildcards):
    checkpoints.look.get()
    snakemake_.reconsider() if config.get("again") else None
    return []

def forced(wildcards):
    snakemake_.force("look.txt")
    return ["count.txt"]

rule all:
    input: forced

checkpoint look:
    output: "look.txt"
    shell: "touch {output}"

rule total:
    input: after, "source.txt"
    output: "total.txt"
    shell: "touch {output}"

rule count:
    input: "total.txt"
    output: "count.txt"
    shell: "touch {output}"
"""
    (tmp_path / "source.txt").touch()
    snakemake(tmp_path, text)
    assert "rule count" in snakemake(tmp_path, text)["output"][0]
    assert "rule count" not in snakemake(tmp_path, text, "--config", "again=1")["output"][0]
    (tmp_path / "source.txt").write_text("new")
    assert "rule count" in snakemake(tmp_path, text, "--config", "again=1")["output"][0]


def test_inputs_may_be_older_or_be_shown_in_a_report(tmp_path: Path) -> None:
    text = """
rule all:
    input:
        lambda w: snakemake_.ancient(["old.txt"]),
        lambda w: [snakemake_.in_report(Path("old.txt"), Path("c.rst"), ("a", "b"), {"c": "d"})],
    output: "made.txt"
    shell: "date +%N > {output}"
"""
    text = text.replace(
        "lambda w: [snakemake_", "lambda w: [] if config.get('plain') else [snakemake_"
    )
    (tmp_path / "old.txt").write_text("what is shown")
    (tmp_path / "c.rst").write_text("What it is.")
    snakemake(tmp_path, text, "--config", "plain=1")
    made = (tmp_path / "made.txt").read_text()
    os.utime(tmp_path / "old.txt", (time.time() + 60,) * 2)
    snakemake(tmp_path, text, "--config", "plain=1", "--rerun-triggers", "mtime")
    assert (tmp_path / "made.txt").read_text() == made
    snakemake(tmp_path, text, "--report", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "old.txt" in page and "What it is." in page and '{"a": {"b": ["old.txt"]}}' in page


def test_jobs_ignore_an_interrupt(tmp_path: Path) -> None:
    text = """
snakemake_.shield_jobs()
rule all:
    output: "made.txt"
    shell: "sh -c 'kill -INT $$; echo alive > {output}'"
"""
    snakemake(tmp_path, text)
    assert (tmp_path / "made.txt").read_text() == "alive\n"


@pytest.mark.parametrize("option", ["--nolock", "--lock"])
def test_the_lock_is_given_back_and_nothing_is_printed(tmp_path: Path, option: str) -> None:
    """In the middle of a job, as a signal does it."""
    text = """
import signal, threading
def end(number, frame):
    snakemake_.silence()
    snakemake_.unlock()
    snakemake_.cancel_jobs() if not snakemake_.jobs_are_local else None
    os._exit(3)
signal.signal(signal.SIGUSR1, end) if snakemake_.is_main_process else None
rule all:
    output: "made.txt"
    shell: "touch begun; sleep 3; touch {output}"
"""
    (tmp_path / "Snakefile").write_text(HEAD + text)
    arguments = [sys.executable, "-m", "snakemake", "--cores", "1"]
    arguments += [option] if option == "--nolock" else []
    run = subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGUSR1)
    assert run.wait(30) == 3
    assert not list((tmp_path / ".snakemake" / "locks").glob("*"))


def test_a_rule_script_gets_plain_objects(tmp_path: Path) -> None:
    """Its process imports nothing of Snakemake; a script in another folder is left as it is."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (tmp_path / "in.txt").touch()
    script = """
import json, sys

found = {
    "input": list(snakemake.input), "log": list(snakemake.log), "rule": snakemake.rule,
    "word": snakemake.wildcards.word, "none": getattr(snakemake.wildcards, "none", ""),
    "start": snakemake.params.start, "config": snakemake.config,
    "imported": "snakemake.logging" in sys.modules, "type": type(snakemake).__name__,
}
with open(sys.argv[1] if sys.argv[1:] else f"{snakemake.rule}.json", "w") as file:
    json.dump(found, file)
"""
    (scripts / "ours.py").write_text(script)
    (tmp_path / "theirs.py").write_text(script)
    text = f"""
snakemake_.start_lightly(Path({str(scripts)!r}))
config["waybill"] = {{"päth 'x'": {{"a": [1, None, "\\u00e9"]}}, "other": 1}}
config["waybill_tree"] = "tree"
config["foreign"] = "not handed over"

rule all:
    input: "päth 'x'.é.ours", "t.w.theirs"

rule ours:
    input: "in.txt"
    output: touch("{{transfer}}.{{word}}.ours")
    log: "log/{{transfer}}.{{word}}.ours"
    params: start="s1", odd={{1: 2}}
    script: "scripts/ours.py"

rule theirs:
    output: touch("{{transfer}}.{{word}}.theirs")
    log: "log/{{transfer}}.{{word}}.theirs"
    params: start="s2"
    script: "theirs.py"
"""
    snakemake(tmp_path, text)
    ours, theirs = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("ours", "theirs"))
    assert ours["type"] == "SimpleNamespace" and theirs["type"] == "Snakemake"
    assert ours["config"] == {
        "waybill": {"päth 'x'": {"a": [1, None, "é"]}}, "waybill_tree": "tree",
        "waybill_alone": False
    }  # fmt: skip
    assert theirs["config"]["foreign"] == "not handed over"
    assert (ours["input"], ours["log"]) == (["in.txt"], ["log/päth 'x'.é.ours"])
    assert (ours["rule"], ours["word"], ours["none"], ours["start"]) == ("ours", "é", "", "s1")
    assert (theirs["rule"], theirs["word"], theirs["start"]) == ("theirs", "w", "s2")


def test_a_rule_script_of_a_new_interpreter_imports_nothing_of_snakemake(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "ours.py").write_text("""
import sys
with open("out", "w") as file:
    print(sorted(name for name in sys.modules if name.startswith("snakemake")), file=file)
""")
    text = f"""
snakemake_.start_lightly(Path({str(scripts)!r}))
config["waybill"], config["waybill_tree"] = {{None: 1}}, "tree"

rule ours:
    output: touch("made")
    script: "scripts/ours.py"
"""
    (tmp_path / "Snakefile").write_text(HEAD + text)
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "[]\n"


def test_the_scheduler_looks_when_there_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job ends, or a second has passed; and it asks for the size of an input file once, where it
    asks otherwise for those of all jobs that are ready."""
    text = """
import time
from snakemake.io import _IOFile
from snakemake.scheduling.job_scheduler import JobScheduler

if os.environ["CALM"] == "true":
    snakemake_.calm_scheduler()

begun, looks, sizes = time.monotonic(), [], []
select, size = JobScheduler.job_selector, _IOFile.size

def job_selector(scheduler, jobs):
    looks.append(len(jobs))
    return select(scheduler, jobs)

async def counted(file):
    sizes.append(str(file))
    return await size(file)

JobScheduler.job_selector, _IOFile.size = job_selector, counted

onsuccess:
    tell("looks", len(looks))
    tell("sizes", len(sizes))
    tell("seconds", time.monotonic() - begun)

rule all:
    input: expand("made/{number}", number=range(20))

rule make:
    input: "in.txt"
    output: touch("made/{number}")
    shell: "sleep 0.2"
"""
    (tmp_path / "in.txt").touch()
    monkeypatch.setenv("CALM", "true")
    calm = snakemake(tmp_path, text)
    shutil.rmtree(tmp_path / "made")
    monkeypatch.setenv("CALM", "false")
    usual = snakemake(tmp_path, text)
    most = 2 * 20 + calm["seconds"][0] + 5
    assert calm["looks"][0] <= most < usual["looks"][0]
    assert calm["sizes"][0] <= 3 * 20 < usual["sizes"][0]


def test_the_scheduler_wakes_when_its_limit_of_jobs_allows_more(tmp_path: Path) -> None:
    """Three jobs may begin in four seconds. They end sooner, so that only the timer can begin the
    next ones."""
    text = """
import time
snakemake_.calm_scheduler()
begun = time.monotonic()

onsuccess:
    tell("seconds", time.monotonic() - begun)

rule all:
    input: expand("made/{number}", number=range(7))

rule make:
    output: touch("made/{number}")
    shell: "true"
"""
    found = snakemake(tmp_path, text, "--max-jobs-per-timespan", "3/4s", "--cores", "3")
    assert found["seconds"][0] > 8
