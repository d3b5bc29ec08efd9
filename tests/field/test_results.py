"""Results vouch for themselves: what is damaged or lost is named and made anew, nothing is sent
again, and nothing that is wrong is proven or published."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.downloads import files
from support.proxy import Proxy
from support.server import S3Server
from support.workflow import Workflow, is_manifest
from waybill.config import read as config
from waybill.inventory import take
from waybill.model.errors import WaybillError
from waybill.model.escaping import escape, unescape
from waybill.model.transfer import Transfer
from waybill.move import compare, publish
from waybill.results import marker, state
from waybill.results.layout import Layout
from waybill.s3 import bucket as control
from waybill.s3.bucket import Bucket
from waybill.s3.client import make_client
from waybill.s3.engine import choose
from waybill.stages import compare as stage_compare
from waybill.stages import move as stage_move
from waybill.stages import rules
from waybill.stages.task import Task

LONG_AGO_NS = 10**18

TABLES = {
    "inventory/t/{}.local.tsv", "inventory/t/{}.remote.tsv", "checksums/t/{}.sha256",
    "diff/t/{}.tsv", "markers/t/{}.tsv", "journal/t/{}.tsv", "cache/t/{}.tsv",
}  # fmt: skip
ONCE = (
    "manifests/t.json", "published/t.json", "plan.tsv", "summary.tsv", "state.json",
)  # fmt: skip


def _edited(data: bytes) -> bytes:
    """The same with one digit of its last value that has some changed."""
    at = max((i for i, byte in enumerate(data) if chr(byte).isdigit()), default=-1)
    if at < 0:
        return data
    return data[:at] + (b"3" if data[at : at + 1] == b"7" else b"7") + data[at + 1 :]


WAYS: dict[str, Callable[[bytes], bytes | None]] = {
    "lost": lambda _: None,
    "emptied": lambda _: b"",
    "cut": lambda data: data[: len(data) * 2 // 3],
    "random": lambda data: random.Random(5).randbytes(len(data)),
    "edited": _edited,
    "headless": lambda data: data.split(b"\n")[0] + b"\n",
}


@dataclass
class Chain:
    """A transfer and its stages, one after the other in this process, as Snakemake asks for them:
    what is missing is made."""

    transfer: Transfer
    proxy: Proxy
    failed: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.transfer.results)

    @property
    def root(self) -> Path:
        return self.transfer.results

    def run(self) -> list[str]:
        """One run; what it wrote to the bucket and what it fetched, ``OP key`` each, sorted."""
        first = len(self.proxy.requests)
        layout = self.layout
        take.run(self.transfer, layout, Bucket(self.transfer))
        for dataset, batch in state.batches(layout):
            if not layout.marker(dataset, batch).exists():
                self._move(dataset, batch)
        for dataset in sorted({dataset for dataset, _ in state.batches(layout)}):
            if not layout.manifest(dataset).exists():
                rules.manifest(self._task("manifest", dataset))
            if self.transfer.publishes and not layout.publication(dataset).exists():
                rules.publish(self._task("publish", dataset))
        if not layout.plan.exists():
            rules.plan(self._task("gather_plan"))
        if not layout.summary.exists():
            rules.summary(self._task("summary"))
        moved = ("PutObject", "GetObject", "CreateMultipartUpload")
        return sorted(f"{r.op} {r.key}" for r in self.proxy.requests[first:] if r.op in moved)

    def _move(self, dataset: str, batch: str) -> None:
        hashed = self.layout.checksums(dataset, batch).exists()
        if self.transfer.direction == "upload" and not hashed:
            rules.checksum(self._task("checksum", dataset, batch))
        if not self.layout.diff(dataset, batch).exists():
            stage_compare.compare(self._task("diff", dataset, batch))
        move = stage_move.upload if self.transfer.direction == "upload" else stage_move.download
        move(self._task(self.transfer.direction, dataset, batch))

    def _task(self, stage: str, dataset: str = "", batch: str = "") -> Task:
        return Task(self.transfer, self.layout, stage, dataset, batch)

    def is_whole(self) -> None:
        """Nothing is open, and the markers tell what is in the bucket and in the folder."""
        client = Bucket(self.transfer)
        there = {e.path: (e.size, e.etag) for e in client.list_prefix()}
        proven = {p.path: p for path in self._markers() for p in marker.read(path)}
        assert proven.keys() == files(self.transfer.folder).keys()
        for path, data in files(self.transfer.folder).items():
            proof = proven[path]
            assert (proof.size, proof.sha256) == (len(data), _sha256(data))
            assert there[path] == (proof.size, proof.etag)
        sums = {p: p.read_bytes() for p in (self.root / "checksums/t").glob("[!.]*")}
        assert sum(data.count(b"\n") for data in sums.values()) == len(proven)

    def _markers(self) -> Iterator[Path]:
        return (self.root / "markers/t").glob("[!.]*.tsv")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def chain(tmp_path: Path, bucket: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    """Makes chains: ``chain(direction, number of files)``, each file a batch of its own; what is
    downloaded was put there before."""
    for name, value in proxy.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    clients: dict[str, object] = {}

    def client(transfer: Transfer, **_: object) -> object:  # one for all: to make one takes 0.1 s
        if transfer.direction not in clients:
            clients[transfer.direction] = make_client(transfer)
        return clients[transfer.direction]

    for module in (choose, control, publish, compare):
        monkeypatch.setattr(module, "make_client", client)

    def make(direction: str, count: int, **settings: str) -> Chain:
        folder = tmp_path / "data"
        folder.mkdir()
        for number in range(count):
            path = folder / f"f{number:03}"
            path.write_bytes(b"%03d" % number * 50)
            os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        up = Chain(_transfer(tmp_path, "up", folder, f"s3://{bucket}/t", **settings), proxy)
        if direction == "upload":
            return up
        up.run()
        down = _transfer(tmp_path, "down", f"s3://{bucket}/t", tmp_path / "in", **settings)
        return Chain(down, proxy)

    return make


def _transfer(
    folder: Path, name: str, source: str | Path, destination: str | Path, **settings: str
) -> Transfer:
    file = folder / f"{name}.toml"
    lines = [f'source = "{source}"', f'destination = "{destination}"', "batch.max_files = 1"]
    lines += [f'results = "{folder}/results-{name}"', 'engine = "boto3"']
    lines += [f"{key} = {value}" for key, value in settings.items()]
    file.write_text("[transfers.t]\n" + "\n".join(lines) + "\n")
    return config.load(file, transfers=["t"])["t"]


def _damage(path: Path, way: str) -> bool:
    """Damage a file; whether that made a difference."""
    data = path.read_bytes()
    damaged = WAYS[way](data)
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(damaged)
    return damaged != data


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_E12_any_table_that_is_damaged_or_lost_is_named_and_made_anew(chain, direction, caplog):
    transfer = chain(direction, len(TABLES) * len(WAYS) + 2)
    transfer.run()
    assert transfer.run() == []  # which says that all is proven
    transfer.is_whole()
    before = {p.name: list(marker.read(p)) for p in (transfer.root / "markers/t").glob("*.tsv")}
    batches = sorted(name.removesuffix(".tsv") for name in before)
    damaged = []
    for batch, (kind, way) in zip(batches, itertools.product(sorted(TABLES), WAYS), strict=False):
        path = transfer.root / kind.format(batch)
        if path.exists() and _damage(path, way):
            damaged.append(path)
    assert len(damaged) >= (len(TABLES) - 1) * len(WAYS) - 6
    caplog.clear()
    sent = transfer.run()
    assert [request for request in sent if not is_manifest(request)] == []
    assert [path for path in damaged if str(path) not in caplog.text] == []
    transfer.is_whole()
    for name, proofs in before.items():
        after = list(marker.read(transfer.root / "markers/t" / name))
        assert [p._replace(time="") for p in after] == [p._replace(time="") for p in proofs]
    caplog.clear()
    assert transfer.run() == []
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("way", WAYS)
def test_E12_what_is_there_once_is_made_anew_and_nothing_is_published_twice(
    chain, kind, way, caplog
):
    transfer = chain("upload", 3)
    (published,) = [r for r in transfer.run() if is_manifest(r)]
    path = transfer.root / kind
    whole = path.read_bytes()
    if not _damage(path, way):
        return
    caplog.clear()
    sent = transfer.run()
    assert way == "lost" or str(path) in caplog.text
    if kind != "state.json":  # which says under what settings all was compared
        assert [r for r in sent if r.startswith("Put")] == []
        assert json.loads((transfer.root / "published/t.json").read_bytes())["key"] in published
    if kind in ("manifests/t.json", "summary.tsv"):
        assert path.read_bytes() == whole
    transfer.is_whole()
    assert transfer.run() == []


def test_E6_a_published_manifest_is_never_overwritten_with_other_content(chain, caplog):
    transfer = chain("upload", 2)
    (published,) = [r for r in transfer.run() if is_manifest(r)]
    key = published.removeprefix("PutObject ")
    client = Bucket(transfer.transfer)
    before = client.get(key)
    manifest = transfer.root / "manifests/t.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"f000", b"f00x"))
    # As a version without seals would have had it: the damage is published.
    (transfer.root / "seals/results.sha256").unlink(missing_ok=True)
    (transfer.root / "published/t.json").unlink()
    rules.publish(Task(transfer.transfer, transfer.layout, "publish", "t"))
    record = json.loads((transfer.root / "published/t.json").read_bytes())
    assert client.get(key) == before
    assert record["key"] > key and client.get(record["key"]) == manifest.read_bytes()
    assert f"{key}: holds another manifest; not touched" in caplog.text


def test_E6_the_same_manifest_is_not_written_twice(chain):
    transfer = chain("upload", 2)
    transfer.run()
    record = transfer.root / "published/t.json"
    before = json.loads(record.read_bytes())
    record.unlink()
    assert [r for r in transfer.run() if r.startswith("Put")] == []
    after = json.loads(record.read_bytes())
    assert {**after, "time": ""} == {**before, "time": ""}


def test_E6_an_edited_marker_is_neither_proven_nor_published(chain, caplog):
    """Of its SHA-256 and version no listing tells; the digest of the marker does."""
    transfer = chain("upload", 2)
    transfer.run()
    for folder in ("markers", "journal"):
        (path,) = sorted((transfer.root / folder / "t").glob("[!.]*.tsv"))[:1]
        proofs = list(marker.read(path))
        path.write_bytes(path.read_bytes().replace(proofs[0].sha256.encode(), b"0" * 64))
    (transfer.root / "manifests/t.json").unlink()
    caplog.clear()
    transfer.run()
    assert str(path) in caplog.text
    transfer.is_whole()
    found = json.loads((transfer.root / "manifests/t.json").read_bytes())
    assert {f["sha256"] for f in found["files"]} == {
        _sha256(data) for data in files(transfer.transfer.folder).values()
    }


def test_E12_a_job_refuses_what_was_damaged_since_the_inventory(chain):
    from waybill.results import seals

    transfer = chain("upload", 1)
    transfer.run()
    (path,) = (transfer.root / "diff/t").glob("[!.]*")
    seals.check(transfer.layout, [path])
    _damage(path, "edited")
    with pytest.raises(WaybillError, match=re.escape(f"{path}: damaged")):
        seals.check(transfer.layout, [path])


def test_E12_results_from_a_backup_do_not_speak_for_a_file_written_since(chain, s3: S3Server):
    """The object was written anew and later as before, each time with the size and the
    source-mtime of the first. So the file of the second has the size and mtime that are proven."""
    download = chain("download", 2)
    download.run()
    backup = shutil.copytree(download.root, download.root.with_name("backup"))
    client, bucket = s3.client(), download.transfer.bucket
    here = download.transfer.folder / "f001"
    first = here.read_bytes()

    def put(body: bytes) -> None:
        metadata = client.head_object(Bucket=bucket, Key="t/f001")["Metadata"]
        client.put_object(Bucket=bucket, Key="t/f001", Body=body, Metadata=metadata)

    other = bytes(reversed(first))
    put(other)
    assert "GetObject t/f001" in download.run()
    assert here.read_bytes() == other
    put(first)
    shutil.rmtree(download.root)
    shutil.copytree(backup, download.root)
    assert "GetObject t/f001" in download.run()
    assert here.read_bytes() == first
    download.is_whole()
    assert download.run() == []


def test_E12_a_file_that_was_copied_to_its_place_is_hashed_and_not_fetched(chain):
    download = chain("download", 2)
    download.run()
    here = download.transfer.folder / "f001"
    inode = here.stat().st_ino
    shutil.copy2(here, copy := here.with_name("copy"))
    copy.rename(here)
    assert here.stat().st_ino != inode
    assert download.run() == []
    download.is_whole()
    proven = {p.path: p.inode for path in download._markers() for p in marker.read(path)}
    assert proven["f001"] == here.stat().st_ino


@pytest.mark.parametrize("way", [way for way in WAYS if way != "lost"])
def test_E12_results_of_a_version_without_seals_are_taken_over(chain, way, caplog):
    """As they are, when they make sense: a marker that differs from its copy does not."""
    transfer = chain("upload", 3)
    transfer.run()
    shutil.rmtree(transfer.root / "seals")
    known = json.loads((transfer.root / "state.json").read_bytes())
    del known["audited_ns"]
    (transfer.root / "state.json").write_text(json.dumps(known))
    caplog.clear()
    assert transfer.run() == []
    assert caplog.text == ""
    shutil.rmtree(transfer.root / "seals")
    path = min((transfer.root / "markers/t").glob("[!.]*"))
    _damage(path, way)
    assert [r for r in transfer.run() if not is_manifest(r)] == []
    assert str(path) in caplog.text
    transfer.is_whole()


def test_E12_a_damaged_journal_loses_only_its_damaged_lines(tmp_path, caplog):
    from waybill.results.journal import Journal, read

    path = tmp_path / "j.jsonl"
    proof = marker.Proof("a", "p/a", 5, 7, "00" * 32, "etag", "", "2026-01-01T00:00:00.000Z")
    with Journal(path, "run") as journal:
        for name in "abcde":
            journal.done(proof._replace(path=name))
    lines = path.read_bytes().split(b"\n")
    lines[0] = lines[0].replace(b'"size":5', b'"size":6')
    lines[1] = random.Random(1).randbytes(99).replace(b"\n", b"")
    lines[2] = b'{"done":"c"}'
    lines[3] = lines[3][:40]
    path.write_bytes(b"\n".join(lines))
    record = read([path])
    assert set(record.done) == {"e"}
    assert record.damaged == [f"{path}:1", f"{path}:2", f"{path}:3"]
    record.tell()
    assert f"{path}:1" in caplog.text


@pytest.mark.parametrize("data", [b"null", b"[]", b"\xff\xfe", b'{"places": 3}', b'{"run": 7}'])
def test_E12_a_damaged_state_is_none(tmp_path, data):
    layout = Layout(tmp_path)
    layout.state.write_bytes(data)
    assert state.read(layout).run == ""


def test_E12_a_table_names_file_and_line(tmp_path):
    path = tmp_path / "m.tsv"
    marker.write(path, [marker.Proof("a", "p/a", 1, 2, "0" * 64, "e", "", "t")] * 2)
    whole = path.read_bytes()
    for data, where in (
        (whole.replace(b"\t1\t2", b"\tx\t2", 1), ":2"),
        (whole[:-1], ":3"),
        (whole[:-9] + b"\xff" + whole[-8:], ""),
        (b"", ""),
    ):
        path.write_bytes(data)
        with pytest.raises(WaybillError, match=re.escape(f"{path}{where}")):
            list(marker.read(path))


def test_E16_names_are_escaped_in_tables_and_come_back():
    for code in (*range(0xA0), 0x61C, 0x200E, *range(0x2028, 0x202F), 0x2066, 0xDC80, 0xDCFF):
        name = f"a{chr(code)}b\\x1b"
        escaped = escape(name)
        assert escaped.isprintable(), code
        assert unescape(escaped) == name
    assert escape("\x1b[2J\x9b\udc9b") == "\\x1b[2J\\u009b\\x9b"


def test_E16_what_a_killed_write_left_is_removed_and_what_is_being_written_is_not(chain):
    transfer = chain("upload", 1)
    transfer.run()
    left = [
        transfer.root / "markers/t/.b.tsv.77.0a1b2c3d.tmp",
        transfer.root / ".state.json.7.0.tmp",
    ]
    written = transfer.root / "diff/t/.b.tsv.78.0a1b2c3d.tmp"
    for path in (*left, written):
        path.write_bytes(b"half")
    with written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert transfer.run() == []
        assert [path for path in left if path.exists()] == []
        assert written.exists()
    transfer.run()
    assert not written.exists()


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_E11_results_that_are_dated_in_the_future_work(
    tmp_path: Path, s3: S3Server, bucket: str, proxy: Proxy, direction: str
) -> None:
    workflow = Workflow(tmp_path, proxy)
    workflow.write("a", b"1")
    client = s3.client()
    client.put_object(Bucket=bucket, Key="there/a", Body=b"1")
    if direction == "upload":
        workflow.configure(t={"destination": f"s3://{bucket}/t"})
    else:
        inside = str(tmp_path / "in")
        workflow.configure(t={"source": f"s3://{bucket}/there", "destination": inside})
    workflow.run()
    ahead = time.time_ns() + 86_400 * 10**9
    for folder in ("results", ".snakemake"):
        for path in (tmp_path / folder).rglob("*"):
            os.utime(path, ns=(ahead, ahead))
    for table in (tmp_path / "results/t/inventory/t").glob("*.local.tsv"):
        if direction == "download":  # E12 with Snakemake
            table.unlink()
    workflow.write("b", b"2")
    client.put_object(Bucket=bucket, Key="there/b", Body=b"2")
    done = workflow.run()
    assert "2 files" in done.lines[-1] and "all proven" in done.lines[-1]
    assert len([r for r in done.requests if r.op in ("PutObject", "GetObject")]) <= 3
    newest = max(p.stat().st_mtime for p in (tmp_path / "results/t").rglob("*.tsv"))
    assert newest < time.time() + 5
