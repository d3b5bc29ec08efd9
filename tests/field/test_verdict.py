"""How a transfer stands is told alike by all, and exit code 0 means that all of it is proven."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doors import Door
from sequencing import until

from support.proxy import Call, Proxy, Stall
from support.server import S3Server
from support.verifying import Verifying
from support.workflow import SNAKEFILE, Workflow, read_table
from waybill.cli.main import main
from waybill.results import state
from waybill.results.layout import Layout
from waybill.stages import compare, rules
from waybill.stages.task import Task
from waybill.system.locks import lock
from waybill.verify.judge import in_sample

SETTINGS = {"batch": {"max_files": 4}, "symlinks": "skip"}


class Uploads(Verifying):
    """Transfer ``t`` of six files in three batches, in this process."""

    here: Layout

    def fill(self) -> None:
        for number in range(6):
            (self.data / f"f{number}").write_bytes(b"%d" % number * 50)
        self.here = Layout(self.results)

    def look(self) -> list[tuple[str, str]]:
        """Take the inventory and leave a plan; the batches that are open."""
        it = self.transfer(**SETTINGS)
        rules.inventory(Task(it, self.here, "inventory"))
        batches = list(state.batches(self.here))
        for names in batches:
            rules.checksum(Task(it, self.here, "checksum", *names))
            compare.compare(Task(it, self.here, "diff", *names))
        rules.plan(Task(it, self.here, "gather_plan"))
        return batches

    def status(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """Exit code and words of ``waybill status``."""
        self.transfer()
        toml = self.folder / "config.toml"
        lines = toml.read_text() + 'symlinks = "skip"\n[transfers.t.batch]\nmax_files = 4\n'
        toml.write_text(lines)
        capsys.readouterr()
        code = main(["status", "--config", str(toml)])
        return code, capsys.readouterr().out


@pytest.fixture
def up(
    tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Uploads]:
    uploads = Uploads(tmp_path, proxy, bucket, monkeypatch)
    uploads.fill()
    monkeypatch.chdir(tmp_path)
    yield uploads


def test_A1_status_is_0_only_when_all_is_proven(
    up: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    """No run yet, after a plan, half way; then all is there."""
    assert up.status(capsys) == (1, "t: no run yet\n")
    batches = up.look()
    code, said = up.status(capsys)
    assert code == 1
    assert "6 to move, 0 to keep" in said
    assert "open: 3 of 3 batches are not proven" in said
    assert len(batches) == 3

    up.move(**SETTINGS)
    assert up.status(capsys)[0] == 0
    name = f"{batches[0][0]}/{batches[0][1]}"
    up.here.marker(*batches[0]).unlink()
    code, said = up.status(capsys)
    assert code == 1 and f"open: 1 of 3 batches are not proven: {name}" in said


def test_A1_status_is_not_0_after_a_run_that_had_not_looked_yet(
    up: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the inventory before it saw is old; the next inventory is not."""
    up.move(**SETTINGS)
    assert up.status(capsys)[0] == 0
    up.here.begun.touch()
    code, said = up.status(capsys)
    assert code == 1 and "open: the last run ended before it had looked at both sides" in said
    up.look()
    assert up.status(capsys)[0] == 0


def test_A1_a_run_that_is_killed_in_its_inventory_is_remembered(
    bucket: str, proxy: Proxy, tmp_path: Path
) -> None:
    """And one whose job somebody else ends; a run to its end leaves nothing."""
    workflow = Workflow(tmp_path, proxy)
    workflow.write("a", b"one")
    workflow.configure(t={"destination": f"s3://{bucket}/data"})
    workflow.run()
    begun = tmp_path / "results" / "t" / "begun"
    assert not begun.exists()
    stall = proxy.fault(Stall(60), op="ListObjectsV2")
    running = workflow.start()
    until(lambda: stall.hits == 1, "the inventory")
    running.kill()
    assert begun.exists()
    proxy.faults.clear()
    workflow.run()
    assert not begun.exists()


def test_A1_status_does_not_trust_a_marker_that_the_tables_contradict(
    up: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markers of an earlier time, tables that are gone, a marker that is cut, an old state."""
    up.move(**SETTINGS)
    assert up.status(capsys)[0] == 0
    kept = shutil.copytree(up.results, up.folder / "kept")

    def again() -> None:
        shutil.rmtree(up.results)
        shutil.copytree(kept, up.results)

    first, second, _ = list(state.batches(up.here))
    marker = up.here.marker(*first)
    lost: list[Callable[[], object]] = [
        lambda: shutil.rmtree(up.here.inventory),
        lambda: up.here.state.unlink(),
        lambda: up.here.local(*first).unlink(),
        lambda: up.here.publication("t").unlink(),
        lambda: marker.write_bytes(marker.read_bytes()[:-30]),
        lambda: marker.write_bytes(b"".join(marker.read_bytes().splitlines(True)[:-1])),
        lambda: shutil.copy(up.here.marker(*second), marker),
    ]
    for number, lose in enumerate(lost):
        lose()
        code, said = up.status(capsys)
        assert code == 1, (number, said)
        again()
    assert up.status(capsys)[0] == 0

    # The inventory of a file that changed, and the marker that was copied back over it.
    (up.data / "f0").write_bytes(b"changed")
    up.look()
    assert up.status(capsys)[0] == 1
    for names in state.batches(up.here):
        shutil.copy(kept / "markers" / names[0] / f"{names[1]}.tsv", up.here.marker(*names))
    code, said = up.status(capsys)
    assert code == 1 and "open: 1 of 3 batches are not proven" in said


def test_A1_the_source_may_go_when_status_says_0(
    up: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no run has seen, and what waits, would be lost; a link that is skipped is named."""
    (up.data / "link").symlink_to("f0")
    up.move(**SETTINGS)
    code, said = up.status(capsys)
    assert code == 0 and "1 skipped: " in said
    new = up.data / "new"
    new.write_bytes(b"new")
    code, said = up.status(capsys)
    assert code == 1 and "open: 1 files are new or changed since the last run: new" in said

    up.move(settle=3600, **SETTINGS)
    code, said = up.status(capsys)
    assert code == 1 and "held back" in said and "wait are not moved yet" in said
    up.move(**SETTINGS)
    assert up.status(capsys)[0] == 0

    there = (up.data / "f1").stat()
    other = up.data / "other"
    other.write_bytes(b"x" * there.st_size)
    os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
    other.rename(up.data / "f1")
    code, said = up.status(capsys)
    assert code == 1 and "open: 1 files are new or changed since the last run: f1" in said
    up.move(**SETTINGS)
    assert up.status(capsys)[0] == 0
    shutil.rmtree(up.data)
    assert up.status(capsys)[0] == 0


def test_A1_status_names_a_run_at_work_and_what_failed(
    up: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    up.move(**SETTINGS)
    descriptor = lock(up.here.lock)
    code, said = up.status(capsys)
    assert code == 1 and f"a run is at work here (process {os.getpid()} on " in said
    os.close(descriptor)
    assert up.status(capsys)[0] == 0
    for path in up.data.iterdir():
        path.unlink()
    rules.inventory(Task(up.transfer(**SETTINGS), up.here, "inventory"))
    code, said = up.status(capsys)
    assert code == 3 and "nothing to upload" in said


def moved(door: Door, tmp_path: Path) -> Callable[..., str]:
    """The command ``waybill`` in a folder whose transfer ``t`` has moved the files ``a`` and
    ``b``; it gives back what it said."""
    work = tmp_path / "work"
    (work / "config").mkdir(parents=True)
    toml = f'[transfers.t]\nsource = "{door.data}"\ndestination = "s3://{door.bucket}/t/"\n'
    (work / "config" / "config.toml").write_text(toml)
    for name in ("a", "b"):
        (door.data / name).write_text(name)

    def waybill(*words: str, code: int = 0) -> str:
        return door.run(*words, command="main", cwd=work, code=code).out

    waybill("run", "--yes")
    return waybill


def test_A1_what_a_verification_found_is_open_until_it_is_mended(
    door: Door, tmp_path: Path
) -> None:
    """Both before and after the next run, which sends what is gone."""

    waybill = moved(door, tmp_path)
    waybill("verify")
    waybill("status")
    door.proxy.straight().delete_object(Bucket=door.bucket, Key="t/b")
    waybill("verify", code=1)
    time.sleep(1)  # a proof tells its time in seconds
    assert "open: 1 files are not as they were proven, says a verification: b; see " in (
        waybill("status", code=1)
    )
    waybill("run", "--yes")
    waybill("status")


def test_A1_a_finding_stays_until_its_own_file_is_looked_at(door: Door, tmp_path: Path) -> None:
    """A sample without the file, one that only lists and a clock that is behind say nothing of it;
    the loss of what was found is no good news."""
    verify = tmp_path / "work" / "results" / "t" / "verify"
    today = datetime.now(UTC).date()
    others = next(n for n in range(2, 1000) if not in_sample("b", (1, n), today))

    def write(body: bytes) -> None:
        door.proxy.client().put_object(Bucket=door.bucket, Key="t/b", Body=body)

    waybill = moved(door, tmp_path)
    write(b"x")
    waybill("verify", "--depth", "content", code=1)
    assert "says a verification: b; see " in waybill("status", code=1)
    os.utime(verify / "report.tsv", (0, 0))
    waybill("status", code=1)
    waybill("verify", "--depth", "content", "--sample", f"1/{others}")
    waybill("status", code=1)
    write(b"b")
    waybill("verify", "--depth", "listing")
    waybill("status", code=1)
    waybill("verify", "--depth", "content")
    waybill("status")

    (verify / "open.tsv").unlink()
    assert "open: what earlier verifications found is lost" in waybill("status", code=1)
    waybill("run", "--yes")
    waybill("verify", "--depth", "listing")
    waybill("status", code=1)
    waybill("verify", "--depth", "content")
    waybill("status")
    with (verify / "open.tsv").open("a") as file:
        file.write("more\n")
    waybill("run", "--yes")
    assert "open: what earlier verifications found is lost" in waybill("status", code=1)


def test_A1_a_finding_of_an_earlier_version_is_open(door: Door, tmp_path: Path) -> None:
    """Results that have a report and no table of what is open."""
    waybill = moved(door, tmp_path)
    door.proxy.client().put_object(Bucket=door.bucket, Key="t/b", Body=b"x")
    waybill("verify", "--depth", "content", code=1)
    results = tmp_path / "work" / "results" / "t"
    (results / "verify" / "open.tsv").unlink()
    ledger = results / "seals" / "results.sha256"
    kept = (line for line in ledger.read_text().splitlines(True) if "open.tsv" not in line)
    ledger.write_text("".join(kept))
    assert "says a verification: b; see " in waybill("status", code=1)
    door.proxy.client().put_object(Bucket=door.bucket, Key="t/b", Body=b"b")
    waybill("verify", "--depth", "content")
    waybill("status")


def test_A1_an_object_that_is_written_while_it_is_downloaded_is_proven(
    s3: S3Server, bucket: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run sees the object that is there, and so does ``status``."""
    workflow = Workflow(tmp_path / "work", proxy)
    here = tmp_path / "here"
    source = f"s3://{bucket}/data/"
    workflow.configure(t={"source": source, "destination": str(here)})
    client = s3.client()

    def write(body: bytes) -> None:
        client.put_object(Bucket=bucket, Key="data/changes", Body=body)

    write(b"long" * 50)
    client.put_object(Bucket=bucket, Key="data/stays", Body=b"stays")
    proxy.fault(Call(lambda _: write(b"short")), op="GetObject", key="*changes", times=1)
    workflow.run()
    assert (here / "changes").read_bytes() == b"short"
    run = workflow.run()
    assert run.operations == Counter(ListObjectsV2=1)
    assert not run.jobs["download"]
    monkeypatch.chdir(workflow.folder)
    assert main(["status", "--config", "config.toml"]) == 0


def test_A1_a_killed_run_is_open(proxy: Proxy, door: Door, tmp_path: Path) -> None:
    work = Workflow(tmp_path / "work", proxy)
    for number in range(6):
        work.write(f"f{number}", b"%d" % number * 50)
    work.configure(t={"destination": f"s3://{door.bucket}/t", "batch.max_files": 3})
    fault = proxy.fault(Stall(60), op="PutObject", key="t/f1")
    running = work.start()
    deadline = time.monotonic() + 120
    while not fault.hits and time.monotonic() < deadline:
        time.sleep(0.02)
    meanwhile = door.run(
        "status", "--config", "config.toml", command="main", cwd=work.folder, code=1
    )
    assert "a run is at work here" in meanwhile.out
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait(30)
    said = door.run("status", "--config", "config.toml", command="main", cwd=work.folder, code=1)
    assert "open: " in said.out


HOST = """
import sys
sys.path.insert(0, {scripts!r})

module waybill:
    snakefile: {snakefile!r}
    config: {{"toml": "config.toml"}}

use rule * from waybill as waybill_*

rule mine:
    input: "results/t/summary.tsv"
    output: "mine.txt"
    shell: "echo done > {{output}}"
"""


def test_F7_a_host_workflow_fails_with_the_verdict(
    s3: S3Server, proxy: Proxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefixed: all is there; an object is gone; a name is refused; its records are lost."""
    host = tmp_path / "host.smk"
    scripts = str(SNAKEFILE.parent / "scripts")
    host.write_text(HOST.format(scripts=scripts, snakefile=str(SNAKEFILE)))
    monkeypatch.setattr("support.workflow.SNAKEFILE", host)
    work = Workflow(tmp_path, proxy)
    for name in "abc":
        work.write(name, name.encode() * 50)
    work.configure(t={"destination": f"s3://{bucket}/t"})
    options = {"options": ["--cores", "2"]}
    work.run("mine", **options)
    work.run("waybill_verify", **options)
    s3.client().delete_object(Bucket=bucket, Key="t/b")
    work.run("waybill_verify", code=1, **options)
    report = read_table(tmp_path / "results/t/verify/report.tsv")
    assert dict(zip(report["path"], report["status"], strict=True)) == {
        "a": "=",
        "b": "+",
        "c": "=",
    }

    shutil.rmtree(tmp_path / ".snakemake")
    work.run("mine", **options)
    assert work.results("t").all("markers").keys() == {"a", "b", "c"}
    refused = work.write(b"\xff", b"no key can be this")
    (tmp_path / "mine.txt").unlink()
    for _ in range(2):  # it is not forgotten
        work.run("mine", code=1, **options)
        assert not (tmp_path / "mine.txt").exists()
    refused.unlink()
    work.run("mine", **options)
    assert (tmp_path / "mine.txt").exists()


def test_D6_a_manifest_is_not_published_twice(up: Uploads) -> None:
    """Not when markers are made anew; but when an entry is another, or the manifest is gone."""
    client = up.proxy.straight()

    def published() -> set[str]:
        listing = client.list_objects_v2(Bucket=up.bucket, Prefix="x/manifests/")
        return {item["Key"] for item in listing.get("Contents", [])}

    def move() -> set[str]:
        before = published()
        shutil.rmtree(up.results / "markers", ignore_errors=True)
        shutil.rmtree(up.results / "published", ignore_errors=True)
        shutil.rmtree(up.results / "manifests", ignore_errors=True)
        up.move(**SETTINGS)
        return published() - before

    assert len(move()) == 1
    manifest = up.here.manifest("t").read_bytes()
    assert move() == set()
    assert up.here.manifest("t").read_bytes() == manifest
    (up.data / "f0").write_bytes(b"another")
    assert len(move()) == 1
    (up.data / "f1").unlink()
    assert len(move()) == 1
    last = max(published())
    client.delete_object(Bucket=up.bucket, Key=last)
    assert move() == {last}


def test_D6_a_plain_run_after_force_publishes_nothing(door: Door) -> None:
    for name in ("a.h5ad", "b.h5ad"):
        door.write(name)
    door.run("gut-v1", "--yes")
    door.run("gut-v1", "--force")
    before = door.keys("/manifests/")
    said = door.run("gut-v1", "--yes")
    assert door.keys("/manifests/") == before
    assert "all up to date" in said.out and "Manifest" not in said.out
