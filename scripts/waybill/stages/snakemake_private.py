"""All that leans on Snakemake's insides, which a new version may change without notice.

``pyproject.toml`` bounds the versions. tests/unit/stages/test_snakemake_private.py has a test for
each use.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.02

# What Snakemake makes the object ``snakemake`` of, as far as rule scripts read it.
_GIVEN = {"path", "input_", "params", "wildcards", "log", "config", "rulename"}

# The first line of a rule script, by which it gets the object ``snakemake``.
_HAND_OVER = """
import json, types
snakemake = types.SimpleNamespace(**json.loads({given!r}))
snakemake.wildcards = types.SimpleNamespace(**snakemake.wildcards)
snakemake.params = types.SimpleNamespace(**snakemake.params)
"""


class Snakemake:
    """One run of Snakemake, as its object ``workflow`` in a Snakefile shows it."""

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._modifier = workflow.modifier  # of this Snakefile; later it is that of a host

    # What was asked for

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that a user has started, not one that runs a job."""
        return self._workflow.is_main_process

    @property
    def is_on_cluster(self) -> bool:
        """Whether this process runs a job for the executor of a cluster, with a log of its own."""
        return self._workflow.remote_exec

    @property
    def in_host(self) -> bool:
        """Whether another workflow uses this Snakefile as a module."""
        return not self._modifier.is_main_snakefile()

    @property
    def main_folder(self) -> Path:
        """The folder of the Snakefile that Snakemake was started with."""
        return Path(self._workflow.main_snakefile).resolve().parent

    def named(self, rule: str) -> str:
        """The name of a rule of this Snakefile. A host workflow may give it another name."""
        return self._modifier.modify_rulename(rule)

    @property
    def executes(self) -> bool:
        """Whether jobs are run. They are not in a dry run, nor for a summary, a report or a graph.
        It is known only after the Snakefile was read."""
        return self._workflow.executor_plugin is not None and not self._workflow.dryrun

    @property
    def is_dry_run(self) -> bool:
        return self._workflow.dryrun

    @property
    def touches(self) -> bool:
        """Whether ``--touch`` was given."""
        return self._workflow.touch

    @property
    def targets(self) -> Set[str]:
        return set(self._workflow.dag_settings.targets)

    @property
    def until(self) -> Set[str]:
        """The rules that ``--until`` names."""
        return set(self._workflow.dag_settings.until)

    @property
    def omitted(self) -> Set[str]:
        """The rules that ``--omit-from`` names."""
        return set(self._workflow.dag_settings.omit_from)

    @property
    def rerun_triggers(self) -> Set[str]:
        """Why Snakemake runs a job again: ``mtime``, ``params``, ``input``, …"""
        return {str(trigger).lower() for trigger in self._workflow.rerun_triggers}

    @property
    def latency_seconds(self) -> float:
        """How late a shared file system may show the files of a job; 0 where no job is run."""
        settings = self._workflow.execution_settings
        return settings.latency_wait if settings else 0

    # The graph of jobs

    def force(self, path: str) -> None:
        """Have the file or folder made again, whatever Snakemake has recorded about it."""
        self._workflow.dag.forcefiles.add(path)

    def forget_until(self) -> None:
        """Do not stop at the rules of ``--until``, because the target is made of their files."""
        self._workflow.dag.untilrules.clear()

    def reconsider(self) -> None:
        """Forget which jobs were to run because a job before them was to run. Snakemake finds it
        out again after a checkpoint, but keeps what it found before. So every job of a host
        workflow that follows from a transfer would run whenever the inventory is taken."""
        dag = self._workflow.dag
        for job in dag.jobs:
            if dag.finished(job):
                continue
            made = {
                f for d, files in dag.dependencies[job].items() if dag.finished(d) for f in files
            }
            dag.reason(job).updated_input_run.intersection_update(made)

    @staticmethod
    def ancient(paths: Iterable[str]) -> list[str]:
        """The paths as input files whose modification time does not count."""
        from snakemake.io import ancient

        # The type that Snakemake declares for ``ancient`` does not depend on its argument.
        return [ancient(path) for path in paths]  # pyright: ignore[reportReturnType]

    @staticmethod
    def in_report(
        path: Path, caption: Path, place: tuple[str, str], labels: Mapping[str, str]
    ) -> str:
        """The path as an input file that ``--report`` shows, in ``place``, which is a category and
        a subcategory. ``caption`` is a file of RST."""
        from snakemake.io import report
        from snakemake.sourcecache import LocalSourceFile

        text = LocalSourceFile(os.fspath(caption))
        category, subcategory = place
        marked: Any = report(
            os.fspath(path),
            caption=text,
            category=category,
            subcategory=subcategory,
            labels=dict(labels),
        )
        return marked

    # Snakemake's records

    def has_record(self, path: str) -> bool:
        """Whether Snakemake has recorded how this file or folder was made."""
        from snakemake.io import IOFile

        return self._workflow.persistence.metadata(IOFile(path)) is not None

    def drop_record(self, path: Path) -> None:
        from snakemake.io import IOFile

        self._workflow.persistence.cleanup_metadata(IOFile(os.fspath(path)))

    def drop_backup(self, path: Path) -> None:
        """Remove the copy that Snakemake has made of an output marked ``update`` before its job.
        It fails when a killed run has left such a copy."""
        self._workflow.persistence.cleanup_backup(path)

    @staticmethod
    def do_not_repeat(gives_up: Callable[[str, Mapping[str, str]], bool]) -> None:
        """Have this process not repeat a failed job for which ``gives_up(rule, wildcards)`` is
        true. It is a property of the class of jobs: there is no other place to decide it."""
        from snakemake.jobs import Job

        times: Any = Job.restart_times

        def restart_times(job: Any) -> int:
            return 0 if gives_up(job.rule.name, job.wildcards_dict) else times.__get__(job)

        Job.restart_times = property(restart_times)  # pyright: ignore[reportAttributeAccessIssue]

    # The start of a job

    @staticmethod
    def start_lightly(folder: Path) -> None:
        """Hand the rule scripts in ``folder`` plain objects under the name ``snakemake``: input,
        log, wildcards, params and rule, and the config as far as jobs read it. Snakemake pickles
        objects of its own, and a job would import half of Snakemake to read them, which is 0.2
        seconds of CPU."""
        from snakemake.script import PythonScript

        usual = PythonScript.generate_preamble
        signature = inspect.signature(usual)
        if not signature.parameters.keys() >= _GIVEN:
            return

        def preamble(*arguments: Any, **more: Any) -> str:
            given = signature.bind(*arguments, **more).arguments
            script = Path(given["path"].get_path_or_uri(secret_free=True))
            if script.parent.resolve() != folder:
                return usual(*arguments, **more)
            line = _HAND_OVER.format(given=json.dumps(_plain(given)))
            return line.strip().replace("\n", "; ") + "\n"

        PythonScript.generate_preamble = staticmethod(preamble)  # pyright: ignore

    # The scheduler

    @staticmethod
    def calm_scheduler() -> None:
        """Have the scheduler look for jobs to start only when there is a reason. It sets a timer of
        a second whenever it has looked, and each timer makes it look again and set another, so that
        after some hundred jobs it does nothing else. Here one timer waits at a time. The sizes of
        input files, of all jobs that are ready, are asked for once and not in each look."""
        from snakemake.scheduling.job_scheduler import JobScheduler

        waiting: set[tuple[int, float]] = set()

        def wake(scheduler: Any, seconds: float) -> None:
            own = (id(scheduler), seconds)
            if own in waiting:
                return
            waiting.add(own)

            def due() -> None:
                waiting.discard(own)  # first, so that the look which follows may set the next
                scheduler._open_jobs.release()

            threading.Timer(seconds, due).start()

        usual = JobScheduler.update_input_sizes

        async def update_input_sizes(scheduler: Any, jobs: Iterable[Any]) -> None:
            known = scheduler._input_sizes
            await usual(scheduler, [job for job in jobs if any(f not in known for f in job.input)])

        replaced: Any = JobScheduler
        replaced._schedule_reevalutation = wake
        replaced.update_input_sizes = update_input_sizes

    # The end (``system.interrupt`` for signals)

    def end_dry_run(self, code: Callable[[], int]) -> None:
        """Have a dry run, which ends with 0 whatever it showed, end with another exit code. What it
        returns is asked for after everything was shown."""
        usual = self._workflow.execute

        def execute(*arguments: Any, **more: Any) -> None:
            usual(*arguments, **more)
            if self.is_dry_run and code():
                sys.exit(code())

        self._workflow.execute = execute

    @staticmethod
    def drop_timers() -> None:
        """Cancel the timers that wake the scheduler a second after each start of jobs. The
        scheduler has ended, and the process would wait for them."""
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.cancel()

    @staticmethod
    def shield_jobs() -> None:
        """Make jobs ignore an interrupt from the keyboard, which reaches them, too. A job that is
        importing Snakemake would print a traceback. The main process ends them."""
        from snakemake.shell import shell

        shell.prefix("trap '' INT; exec ")

    @property
    def jobs_are_local(self) -> bool:
        return self._workflow.local_exec

    def cancel_jobs(self) -> None:
        """Have the executor of a cluster cancel its jobs."""
        scheduler = self._workflow.scheduler
        if scheduler is None:
            return
        executor = scheduler._executor
        submitted = [job for job in list(scheduler.running) if not job.is_local]
        while submitted and not executor.active_jobs:  # it is querying them just now
            time.sleep(_POLL_SECONDS)
        executor.cancel_jobs(list(executor.active_jobs))

    def unlock(self) -> None:
        """Give back the lock that Snakemake takes unless it runs with ``nolock``."""
        if self._workflow.scheduler is not None:  # before, the lock may be another run's
            with suppress(OSError):
                self._workflow.persistence.unlock()

    @staticmethod
    def silence() -> None:
        """Keep Snakemake from printing anything about the jobs that are ended."""
        logging = sys.modules.get("snakemake.logging")
        if logging is not None:
            logging.logger.disabled = True


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule script of Waybill reads of ``snakemake``, as values that JSON can hold."""
    config, wildcards = given["config"], given["wildcards"]
    transfer = wildcards.get("transfer")
    return {
        "input": [str(path) for path in given["input_"]],
        "log": [str(path) for path in given["log"]],
        "wildcards": dict(wildcards.items()),
        "params": {name: v for name, v in given["params"].items() if isinstance(v, str)},
        "rule": given["rulename"],
        "config": {
            "waybill": {transfer: config["waybill"][transfer]},
            "waybill_tree": config["waybill_tree"],
            "waybill_alone": config.get("waybill_alone", False),
        },
    }
