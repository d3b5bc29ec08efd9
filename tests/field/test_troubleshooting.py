"""Every entry of docs/troubleshooting.md is met: its words come when what it is about happens, and
every message in the code stands in an entry."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.exceptions as be
import pytest

from support import pages
from support.certificates import stranger
from support.engines import DATA, put
from support.illumina import make_run, sheet
from support.proxy import (
    Answer,
    DropHeader,
    Page,
    Proxy,
    Reset,
    access_denied,
    invalid_access_key,
    slow_down,
    wrong_region,
)
from support.saying import MFA, Aws, refusal
from support.server import S3Server
from support.transfers import transfer_of
from support.uploads import Uploads
from support.verifying import Verifying
from waybill.cli.hca import command as hca
from waybill.cli.launch import Ended
from waybill.cli.main import main as waybill
from waybill.cli.pt5 import command as pt5
from waybill.cli.s3_upload import command as s3_upload
from waybill.cli.s3_upload import log as s3_upload_log
from waybill.cli.terminal import Screen
from waybill.config import read
from waybill.inventory.sides import of_download, of_upload
from waybill.inventory.walk import Walk
from waybill.messages import page
from waybill.messages.find import Message, messages
from waybill.model import regexes
from waybill.model.difference import MOVE, NEW, Difference
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import ReportedError, WaybillError, describe
from waybill.model.selection import Selection
from waybill.model.target_names import Limits, refusals
from waybill.move import diff
from waybill.move.download import Downloader
from waybill.notify.channels import Command, DeliveryError
from waybill.presets import registry
from waybill.presets.illumina import datasets, run_xml, sample_sheet
from waybill.report import write as report_pages
from waybill.results import journal
from waybill.results.journal import Journal
from waybill.results.layout import Layout
from waybill.results.state import State
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import explain
from waybill.s3.parts import Part
from waybill.stages import job
from waybill.stages.look import Look
from waybill.stages.task import Task
from waybill.stages.verify_run import VerifyRun
from waybill.system import encoding, hashing, installed, locks, tsv
from waybill.verify import lists, open_findings
from waybill.verify.count import Count
from waybill.verify.folder import hold_folder
from waybill.verify.layout import VerifyLayout

CLOSED = "http://127.0.0.1:9"  # nothing listens there


class Told(str):
    """A text, and the exit code that goes with it; None where it is not known."""

    code: int | None = None


def told(error: BaseException) -> Told:
    text = Told(error)
    text.code = getattr(error, "exit_code", None)
    return text


class World:
    """A machine, a server and a configuration, in which one thing is not as it should be."""

    def __init__(
        self, folder: Path, s3: S3Server, proxy: Proxy, bucket: str, patch: pytest.MonkeyPatch
    ) -> None:
        self.folder, self.proxy, self.bucket, self.patch = folder, proxy, bucket, patch
        self.s3, self.client = s3, s3.client()
        self.aws = Aws(folder, patch, proxy.endpoint_url)

    def s3_says(self, fault: Answer | Any = None, way: str = "list", **settings: Any) -> str:
        """What a listing, or a put by an engine, says."""
        if fault is not None:
            self.proxy.fault(fault)
        bucket = settings.pop("bucket", self.bucket)
        return told(refusal(transfer_of(self.folder, bucket, **settings), way))

    def config_says(self, text: str) -> str:
        """What the configuration of a transfer with these settings says."""
        file = self.folder / "config.toml"
        own = "".join(
            f"{key} = {json.dumps(value)}\n"
            for key, value in {"source": "/d", "destination": "s3://bucket/p"}.items()
            if f"{key} =" not in text
        )
        file.write_text(f"[transfers.t]\n{own if 'preset' not in text else ''}{text}\n")
        return said(lambda: read.load(file))

    def file(self, name: str = "a", data: bytes = b"x") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def walk(self, **settings: Any) -> str:
        """The refusals of a walk through ``folder/data``."""
        return "\n".join(
            Walk(self.folder / "data", Selection(), **settings).tree().refused.values()
        )

    def download(self, path: str, meanwhile: Callable[[Path], object]) -> str:
        """What a download of one object says, when this happens after it was compared."""
        folder = self.folder / "in"
        folder.mkdir()
        etag = self.client.put_object(Bucket=self.bucket, Key=path, Body=b"bytes")["ETag"]
        item = Difference(NEW, MOVE, path, 5, 0, 0, "", etag.strip('"'), "0", "")
        meanwhile(folder)
        transfer = transfer_of(folder, self.bucket, down=True, results=self.folder / "results")
        file = self.folder / "journal.jsonl"
        with Journal(file, "run") as open_journal:
            record = journal.read([file], "run")
            done = Downloader(transfer, open_journal, record, "run", False).run([item])
        return "\n".join(failure.message for failure in done.failed)

    def task(self, name: str = "t") -> Task:
        transfer = transfer_of(self.folder, self.bucket, results=self.folder / "results" / name)
        transfer.results.mkdir(parents=True, exist_ok=True)
        return Task(transfer, Layout(transfer.results), "upload", "data", "b")


def said(work: Callable[[], object], *kinds: type[Exception]) -> str:
    """The text of the error that the work ends with."""
    with pytest.raises(kinds or (WaybillError,)) as caught:
        work()
    return told(caught.value)


def ended(capsys: pytest.CaptureFixture[str], work: Callable[[], object]) -> str:
    """What is printed by a work that may end the process."""
    with contextlib.suppress(SystemExit):
        work()
    return "".join(capsys.readouterr())


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom permissions bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def world(
    tmp_path: Path, s3: S3Server, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    yield World(tmp_path, s3, proxy, bucket, monkeypatch)
    proxy.errors.clear()


Capsys = pytest.CaptureFixture[str]
PROVOKED: dict[str, Callable[[World, Capsys], str]] = {}


def provokes(name: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    def note(how: Callable[..., str]) -> Callable[..., str]:
        PROVOKED[name] = how
        return how

    return note


def simple(name: str, how: Callable[[World], str]) -> None:
    PROVOKED[name] = lambda world, _: how(world)


# Credentials


@provokes("no-credentials")
def no_credentials(w: World, _: Capsys) -> str:
    w.aws.without_keys()
    return w.s3_says()


@provokes("half-credentials")
def half_credentials(w: World, _: Capsys) -> str:
    w.aws.set(AWS_SECRET_ACCESS_KEY="")
    return w.s3_says()


@provokes("expired-credentials")
def expired_credentials(w: World, _: Capsys) -> str:
    w.aws.set(AWS_CREDENTIAL_EXPIRATION="2020-01-01T00:00:00Z")
    return w.s3_says()


@provokes("one-time-code")
def one_time_code(w: World, _: Capsys) -> str:
    w.aws.profiles(MFA)
    return w.s3_says(profile="x")


@provokes("no-profile")
def no_profile(w: World, _: Capsys) -> str:
    w.aws.set(AWS_PROFILE="nope")
    return w.s3_says()


@provokes("aws-configuration")
def aws_configuration(w: World, _: Capsys) -> str:
    w.aws.profiles("[profile x\nregion")
    return w.s3_says(profile="x")


@provokes("no-login")
def no_login(w: World, _: Capsys) -> str:
    w.aws.profiles(
        "[profile x]\nsso_start_url = https://sso.invalid\nsso_region = us-east-1\n"
        "sso_account_id = 1\nsso_role_name = r\n"
    )
    return w.s3_says(profile="x")


@provokes("credential-process")
def credential_process(w: World, _: Capsys) -> str:
    w.aws.helper("raise SystemExit('log in first')")
    return w.s3_says(profile="x")


@provokes("no-metadata")
def no_metadata(w: World, _: Capsys) -> str:
    w.aws.set(AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="odd")
    return w.s3_says()


simple("refused-credentials", lambda w: w.s3_says(invalid_access_key()))
simple("access-denied", lambda w: w.s3_says(access_denied()))
simple("clock", lambda w: w.s3_says(Answer(403, "RequestTimeTooSkewed", "too large")))


# Bucket, region, endpoint


@provokes("no-region")
def no_region(w: World, _: Capsys) -> str:
    w.aws.set(AWS_DEFAULT_REGION="no region!")
    return w.s3_says()


@provokes("odd-listing")
def odd_listing(w: World, _: Capsys) -> str:
    with pages.store(lambda _: (200, pages.page("a", "a"))) as url:
        return w.s3_says(endpoint_url=url)


simple("no-bucket", lambda w: w.s3_says(bucket="waybill-no-such-bucket"))
simple("other-region", lambda w: w.s3_says(wrong_region("eu-west-1", 400)))
simple("no-address", lambda w: w.s3_says(endpoint_url="http:/one-slash"))
simple("value-for-s3", lambda w: w.s3_says(bucket="NO BUCKET"))
simple("not-s3", lambda w: w.s3_says(Page()))


# Network and store


@provokes("proxy")
def proxy_(w: World, _: Capsys) -> str:
    w.aws.set(HTTP_PROXY=CLOSED, http_proxy=CLOSED, NO_PROXY="", no_proxy="")
    return w.s3_says(endpoint_url="http://store.invalid", timeout=2)


@provokes("certificate")
def certificate(w: World, _: Capsys) -> str:
    with stranger(w.folder) as url:
        return w.s3_says(endpoint_url=url)


@provokes("engine")
def engine(w: World, _: Capsys) -> str:
    w.aws.set(HTTP_PROXY=CLOSED, http_proxy=CLOSED, NO_PROXY="", no_proxy="")
    transfer = transfer_of(w.folder, w.bucket, engine="native", endpoint_url="http://store.invalid")
    return said(lambda: make_engine(transfer, accelerate=False))


@provokes("no-ranges")
def no_ranges(w: World, _: Capsys) -> str:
    w.proxy.fault(DropHeader("range"), op="GetObject")
    transfer = transfer_of(w.folder, w.bucket)
    mover = make_engine(transfer, accelerate=False)
    etag = put(mover, DATA, key="a").etag
    with pytest.raises(be.BotoCoreError) as caught:
        mover.get("a", etag, Part(1, 10, 20), lambda *_: None)
    mover.close()
    return str(explain(caught.value, transfer))


simple("unreachable", lambda w: w.s3_says(endpoint_url=CLOSED))
simple("no-tls", lambda w: w.s3_says(endpoint_url=w.proxy.endpoint_url.replace("http", "https")))
simple("breaks-off", lambda w: w.s3_says(Reset()))
simple("busy-store", lambda w: w.s3_says(slow_down()))
simple("damaged-on-the-way", lambda w: w.s3_says(Answer(400, "BadDigest", "no"), "native"))
simple("refused-request", lambda w: w.s3_says(Answer(400, "InvalidRequest", "no"), "boto3"))
simple("archived", lambda w: w.s3_says(Answer(403, "InvalidObjectState", "no")))
simple(
    "boto3",
    lambda w: str(explain(be.PaginationError(message="no"), transfer_of(w.folder, w.bucket))),
)


# Folders and disks


@provokes("no-folder")
def no_folder(w: World, _: Capsys) -> str:
    return said(w.walk)


@provokes("unlisted-folder")
def unlisted_folder(w: World, _: Capsys) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o311)
        with as_nobody():
            text = said(lambda: Walk(Path(folder), Selection()).tree())
        Path(folder).chmod(0o700)
    return text


@provokes("git-worktree")
def git_worktree(w: World, _: Capsys) -> str:
    (w.folder / ".git").mkdir()
    transfer = transfer_of(w.folder / "in", w.bucket, down=True)
    return said(lambda: of_download(transfer, Layout(transfer.results), lambda _known=(): []))


@provokes("system")
def system(w: World, _: Capsys) -> str:
    w.file("plain")
    return said(lambda: locks.lock(w.folder / "plain" / ".lock"))


@provokes("full")
def full(w: World, _: Capsys) -> str:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")
    return describe(caught.value, w.folder)


simple("memory", lambda w: str(job._told(MemoryError(), w.task())))


# Files that are read


@provokes("links")
def links(w: World, _: Capsys) -> str:
    (w.folder / "data").mkdir()
    (w.folder / "data" / "link").symlink_to("nowhere")
    return w.walk()


@provokes("unreadable")
def unreadable(w: World, _: Capsys) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "a"
        file.write_bytes(b"x")
        file.chmod(0)
        entry = LocalEntry("a", 1, file.stat().st_mtime_ns, file.stat().st_ino)
        with as_nobody():
            return said(lambda: hashing.read_small(Path(folder), entry))


@provokes("changed-source")
def changed_source(w: World, _: Capsys) -> str:
    uploads = Uploads(w.folder, w.bucket)
    item = uploads.item("a", b"x")
    (uploads.folder / "a").write_bytes(b"other bytes")
    return "\n".join(uploads.fail(item).values())


@provokes("no-size")
def no_size(w: World, _: Capsys) -> str:
    seen = Path("/proc/self/status").stat()
    entry = LocalEntry("status", seen.st_size, seen.st_mtime_ns, seen.st_ino)
    w.patch.setattr(hashing, "_check", lambda *_: None)  # its time may be that of the look
    return said(lambda: hashing.read_small(Path("/proc/self"), entry))


@provokes("long-key")
def long_key(w: World, _: Capsys) -> str:
    w.file("data/a-name")
    return w.walk(prefix_bytes=1020)


@provokes("unhashed")
def unhashed(w: World, _: Capsys) -> str:
    nothing = SimpleNamespace(file=None, object=None, sha256="", source=SimpleNamespace(path="a"))
    return said(lambda: diff._same(nothing, lambda _: None))  # type: ignore[arg-type]


# Names and files of a destination


def names(*paths: str) -> str:
    limits = Limits(name_bytes=255, path_bytes=4095, folds_case=True)
    found = refusals(paths, root="/in", files=(), folders=(), limits=limits)
    return "\n".join(found.values())


simple("no-file-name", lambda _: names("../a"))
simple("long-name", lambda _: names("a" * 300))
simple("one-place", lambda _: names("a", "A"))


@provokes("link-in-destination")
def link_in_destination(w: World, _: Capsys) -> str:
    return w.download("sub/a", lambda folder: (folder / "sub").symlink_to(w.folder))


@provokes("changed-destination")
def changed_destination(w: World, _: Capsys) -> str:
    return w.download("a", lambda folder: (folder / "a").write_bytes(b"mine"))


@provokes("changed-object")
def changed_object(w: World, _: Capsys) -> str:
    return w.download("a", lambda _: w.client.delete_object(Bucket=w.bucket, Key="a"))


@provokes("unlisted-object")
def unlisted_object(w: World, _: Capsys) -> str:
    uploads = Uploads(w.folder, w.bucket)
    w.proxy.fault(Page(200, message="", headers={"ETag": '"0123"'}), op="PutObject")
    return "\n".join(uploads.fail(uploads.item("a", b"x")).values())


@provokes("other-download")
def other_download(w: World, _: Capsys) -> str:
    held = locks.lock_folder(w.folder)
    try:
        return said(lambda: locks.lock_folder(w.folder))
    finally:
        os.close(held or 0)


@provokes("report-packages")
def report_packages(w: World, _: Capsys) -> str:
    w.patch.setattr(report_pages, "_PACKAGES", {"no_such_module": "altair"})
    return said(report_pages.require)


@provokes("report-page")
def report_page(w: World, _: Capsys) -> str:
    w.patch.delenv(report_pages.VARIABLE, raising=False)
    w.file("results/report", b"in the place of the folder")
    return "\n".join(report_pages.after_run({"t": transfer_of(w.folder)}))


# Configuration

simple("settings-file", lambda w: said(lambda: read.load(w.folder / "no.toml")))
simple("unknown-key", lambda w: w.config_says("compere = 1"))
simple("wrong-value", lambda w: w.config_says('compare = "sha"'))
simple("pattern", lambda w: w.config_says('include = ["/data/[a"]'))
simple("bucket-and-prefix", lambda w: w.config_says('destination = "s3://a..b/p"'))
simple("path-in-settings", lambda w: w.config_says('source = "$WAYBILL_NOT_SET/x"'))
simple("address-of-service", lambda w: w.config_says('endpoint_url = "store"'))
simple("atlas", lambda w: w.config_says('preset = "hca"\nsource = "/d"\nhca.atlas = "nope"'))
simple("glacier", lambda w: w.config_says('preset = "glacier"\ndestination = "/d"'))


@provokes("preset")
def preset(w: World, _: Capsys) -> str:
    site = w.folder / "site"
    (site / "seis-1.dist-info").mkdir(parents=True)
    (site / "seis-1.dist-info" / "METADATA").write_text("Name: seis\nVersion: 1\n")
    (site / "seis-1.dist-info" / "entry_points.txt").write_text(
        "[waybill.presets]\nseis = no_such_module:PRESET\n"
    )
    w.patch.syspath_prepend(str(site))
    registry.published.cache_clear()
    try:
        return w.config_says('preset = "seis"\nsource = "/d"')
    finally:
        registry.published.cache_clear()


@provokes("locale")
def locale(w: World, _: Capsys) -> str:
    w.patch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    return encoding.mistaken()


# Sequencing runs


@provokes("slow-expression")
def slow_expression(w: World, _: Capsys) -> str:
    w.patch.setattr(regexes, "SECONDS", 0.05)
    return said(lambda: regexes.searcher("(a+)+$")(40 * "a" + "b"), regexes.SlowRegexError)


@provokes("not-hdf5")
def not_hdf5(w: World, _: Capsys) -> str:
    w.file("atlas/a.h5ad", b"<html>gone</html>")
    settings = 'preset = "hca"\nhca.atlas = "gut-v1"\nhca.hdf5_only = true\n'
    config = w.file("hca.toml", f'[transfers.t]\nsource = "{w.folder}/atlas"\n{settings}'.encode())
    found = of_upload(read.load(config)["t"], Layout(w.folder / "results"), lambda _: [])
    return found.refused["a.h5ad"]


@provokes("sample-sheet")
def of_sample_sheet(w: World, _: Capsys) -> str:
    run = make_run(w.folder)
    (run / "SampleSheet.csv").write_text(sheet() + sheet())
    return said(lambda: sample_sheet.samples(run), sample_sheet.SheetError)


@provokes("run-files")
def run_files(w: World, _: Capsys) -> str:
    w.file("RunInfo.xml", b"")
    return said(lambda: run_xml.read_run_info(w.folder), run_xml.XmlError)


@provokes("run-place")
def run_place(w: World, _: Capsys) -> str:
    folders = (w.folder / "A", w.folder / "B")
    for folder in folders:
        folder.mkdir()
        make_run(folder)
    transfer = transfer_of(folders[0], "b", "runs/", preset="illumina", folders=folders)
    found = datasets.find(transfer, State(), mend=False)
    return "\n".join(failure.message for failure in found.failed)


@provokes("not-a-run")
def not_a_run(w: World, _: Capsys) -> str:
    return said(lambda: s3_upload._check(w.folder))


@provokes("log-folder")
def log_folder(w: World, _: Capsys) -> str:
    return said(lambda: s3_upload_log.prepare(w.file("plain") / "logs"))


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


# The catalogue

FOUND = messages()


def shows(entry: str, text: str) -> list[Message]:
    """The messages of an entry that stand in a text."""
    return [m for m in page.sort_out(FOUND)[entry] if m.pattern.search(text)]


@pytest.mark.parametrize("name", page.ENTRIES)
def test_C7_the_words_of_each_entry_come(world: World, capsys: Capsys, name: str) -> None:
    assert name in PROVOKED, "no test provokes this entry"
    text = PROVOKED[name](world, capsys)
    assert shows(name, text), text
    assert "Traceback" not in text
    code = getattr(text, "code", None)
    assert code is None or str(code) in page.ENTRIES[name].code


def test_C7_what_is_provoked_is_in_the_catalogue() -> None:
    assert set(PROVOKED) == set(page.ENTRIES)


def test_C7_every_message_of_the_code_stands_in_the_catalogue() -> None:
    untold = page.sort_out(FOUND)[""]
    assert [f"{m.module}:{m.line}: {m.text}" for m in untold] == []


def test_C7_every_words_of_the_catalogue_are_those_of_a_message() -> None:
    told = page.sort_out(FOUND)
    stale = [
        (entry.name, words)
        for entry in page.ENTRIES.values()
        for words in entry.words
        if not any(words in message.text for message in told[entry.name])
    ]
    assert stale == []


def test_C7_a_message_that_stands_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "TEXT = 'it is a new thing'\n"
        "def f(name):\n"
        "    text = f'{name} is neither here nor there'\n"
        "    raise WaybillError(f'{name}: {text}; {TEXT}', exit_code=2)\n"
    )
    new = page.sort_out(messages(tmp_path))[""]
    assert {m.shown for m in new} == {"NAME is neither here nor there", "it is a new thing"}


def test_C7_the_page_is_up_to_date() -> None:
    assert page.main(["--check"]) == 0, "run: make docs"


def test_C7_check_and_write(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "troubleshooting.md"
    assert page.main(["--file", str(file)]) == 1
    assert "--write" in capsys.readouterr().err
    assert page.main(["--write", "--file", str(file)]) == 0
    assert page.main(["--check", "--file", str(file)]) == 0
