"""Messages about runs, results, commands, verification and notifications."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import date
from types import SimpleNamespace
from typing import Any

from support.provocations.world import (
    Capsys,
    World,
    ended,
    provokes,
    said,
    simple,
)
from support.proxy import (
    access_denied,
)
from support.verifying import Verifying
from waybill.cli.hca import command as hca
from waybill.cli.launch import Ended
from waybill.cli.main import main as waybill
from waybill.cli.pt5 import command as pt5
from waybill.cli.s3_upload import command as s3_upload
from waybill.cli.terminal import Screen
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import ReportedError
from waybill.model.selection import Selection
from waybill.move import diff
from waybill.notify.channels import Command, DeliveryError
from waybill.stages import job
from waybill.stages.look import Look
from waybill.stages.verify_run import VerifyRun
from waybill.system import installed, locks, tsv
from waybill.verify import lists, open_findings
from waybill.verify.count import Count
from waybill.verify.folder import hold_folder
from waybill.verify.layout import VerifyLayout

# Runs


@provokes("another-run")
def another_run(w: World, _: Capsys) -> str:
    held = locks.lock(w.folder / ".lock")
    try:
        return said(lambda: locks.lock(w.folder / ".lock"))
    finally:
        os.close(held)


@provokes("no-record")
def no_record(w: World, capsys: Capsys) -> str:
    gone = Ended("all", 1, [])
    s3_upload._code(Screen("s3-upload"), gone, 0, w.folder / "log")
    return "".join(capsys.readouterr())


@provokes("late-files")
def late_files(w: World, _: Capsys) -> str:
    w.patch.setattr(job, "LATENCY_SECONDS", 0.0)
    return said(lambda: job._view(w.task()))


simple(
    "two-versions",
    lambda w: said(lambda: installed.check_job({installed._RUN: "1+0 stamp /elsewhere"})),
)


def snakemake(**more: Any) -> Any:
    """What a run knows of Snakemake."""
    given = {
        "named": lambda rule: rule, "omitted": set(), "targets": set(), "in_host": False,
        "is_main_process": True, "touches": False, "rerun_triggers": {"params"},
        "executes": False, "is_dry_run": False, "end_dry_run": lambda code: None,
    }  # fmt: skip
    return SimpleNamespace(**(given | more))


@provokes("no-look")
def no_look(w: World, capsys: Capsys) -> str:
    look = Look({}, snakemake(touches=True), {})
    return ended(capsys, look.require)


@provokes("no-verdict")
def no_verdict(w: World, capsys: Capsys) -> str:
    look = Look({"t": w.task().transfer}, snakemake(), {})
    return ended(capsys, look.require)


@provokes("other-failures")
def other_failures(w: World, _: Capsys) -> str:
    verifying = Verifying(w.folder, w.proxy, w.bucket, w.patch)
    (verifying.data / "a").write_bytes(b"x")
    w.proxy.fault(access_denied(), op="PutObject")
    return said(verifying.move, ReportedError)


@provokes("bug")
def bug(w: World, capsys: Capsys) -> str:
    class Ending(Exception):
        pass

    def end(_code: int) -> None:
        raise Ending

    task = w.task()
    settings = {**task.transfer.for_jobs()}
    given = SimpleNamespace(
        config={"waybill": {"t": settings}}, rule="plan", log=[w.folder / "job.log"], input=[],
        wildcards=type("Wildcards", (dict,), {"transfer": "t"})(),
    )  # fmt: skip
    for name in ("_log_to", "_end_on_signals", "_leave_terminal", "_allow_open_files"):
        w.patch.setattr(job, name, lambda *_: None)
    w.patch.setattr(job, "_end", end)
    w.patch.setattr(job, "spare_imports", lambda: None)
    with contextlib.suppress(Ending):
        job.run(given, lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    return next(task.layout.failures.glob("*.tsv")).read_text()


# Results


@provokes("damaged-results")
def damaged_results(w: World, _: Capsys) -> str:
    file = w.file("table.tsv", b"path\tsize\na\n")
    return said(lambda: list(tsv.read(file, ("path", "size"), tuple)))


@provokes("proofs-of-another-place")
def proofs_of_another_place(w: World, _: Capsys) -> str:
    verifying = Verifying(w.folder, w.proxy, w.bucket, w.patch)
    (verifying.data / "a").write_bytes(b"x")
    verifying.move()
    verifying.bucket = w.s3.make_bucket(f"{w.bucket}-2")
    return said(lambda: verifying.verify("listing"))


# Commands


@provokes("no-terminal")
def no_terminal(w: World, capsys: Capsys) -> str:
    w.patch.setenv("HOME", str(w.folder))
    w.patch.setattr(sys, "stdin", None)
    return ended(capsys, lambda: hca.main(["config", "init"]))


@provokes("argument")
def argument(w: World, capsys: Capsys) -> str:
    return ended(capsys, lambda: pt5.main(["--workers", "many"]))


@provokes("undecided")
def undecided(_: World, __: Capsys) -> str:
    file, there = LocalEntry("a", 3, 1, 1), RemoteEntry("a", 3, 1, "etag")
    how = {"compare": "sha256", "overwrite": "if-changed", "same_bytes": None}
    known = [{"a": ""}, {"a": "0" * 64}]
    return "\n".join(d.reason for one in known for d in diff.diff([file], one, {"a": there}, **how))


@provokes("mistyped")
def mistyped(w: World, capsys: Capsys) -> str:
    return ended(capsys, lambda: waybill(["sync", "data", "s3://bucket/data/"]))


@provokes("options-of-snakemake")
def options_of_snakemake(w: World, capsys: Capsys) -> str:
    w.file("config.toml", b'[transfers.t]\nsource = "d"\ndestination = "s3://bucket/p/"\n')
    w.patch.chdir(w.folder)
    words = ["run", "--config", "config.toml", "--profile", "nope"]
    return ended(capsys, lambda: waybill(words))


@provokes("no-folder-to-work-in")
def no_folder_to_work_in(w: World, capsys: Capsys) -> str:
    w.file("config.toml", b'[transfers.t]\nsource = "d"\ndestination = "s3://bucket/p/"\n')
    w.patch.chdir("/")
    return ended(capsys, lambda: waybill(["plan", "--config", f"{w.folder}/config.toml"]))


@provokes("is-there-already")
def is_there_already(w: World, capsys: Capsys) -> str:
    w.file("config/config.toml")
    w.patch.chdir(w.folder)
    return ended(capsys, lambda: waybill(["init"]))


@provokes("not-written")
def not_written(w: World, capsys: Capsys) -> str:
    w.patch.chdir(w.folder)
    words = ["init", "--source", "nowhere", "--destination", f"s3://{w.bucket}/p/"]
    return ended(capsys, lambda: waybill(words))


@provokes("verify-alone")
def verify_alone(w: World, capsys: Capsys) -> str:
    run = VerifyRun({}, snakemake(targets={"verify", "all"}), target="verify")
    return ended(capsys, lambda: run.wanted)


# Verification


@provokes("list-of-files")
def list_of_files(w: World, _: Capsys) -> str:
    return said(lambda: lists.read(w.file("list", b"no list\n")))


@provokes("no-folder-to-verify")
def no_folder_to_verify(w: World, _: Capsys) -> str:
    file = w.file("list", b"0" * 64 + b"  a\n")
    count = Count((1, 1), date(2026, 1, 1))

    def look() -> None:
        hold_folder(file, w.folder / "no", count, "", depth="content", selection=Selection())

    return said(look)


@provokes("finding")
def finding(w: World, _: Capsys) -> str:
    verifying = Verifying(w.folder, w.proxy, w.bucket, w.patch)
    (verifying.data / "a").write_bytes(b"x")
    verifying.move()
    (verifying.data / "a").unlink()
    return "\n".join(verifying.verify("listing").values())


@provokes("lost-findings")
def lost_findings(w: World, _: Capsys) -> str:
    layout = VerifyLayout(w.folder / "results" / "t", "run-20260101")
    layout.open_findings.parent.mkdir(parents=True)
    layout.open_findings.write_bytes(b"no table\n")
    (one,) = open_findings.read(layout)
    return one.finding.reason


# Notifications


@provokes("undelivered")
def undelivered(w: World, _: Capsys) -> str:
    note = SimpleNamespace(document=dict, environment=dict)
    return said(lambda: Command(("false",), 10.0).send(note), DeliveryError)  # type: ignore[arg-type]
