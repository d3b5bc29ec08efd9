"""The judge sees what it is there to see; a judge that finds nothing may be blind."""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
from pathlib import Path

import pytest

from storm import checker, rounds
from storm.checker import Content, Eyes, Sides
from support.faults import Truncate
from support.proxy import Proxy
from support.server import S3Server


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def eyes(s3: S3Server, bucket: str, tmp_path: Path) -> Eyes:
    """One file, its object and its download, and a manifest that tells the truth."""
    for folder in ("source", "dest", "results/up"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("source", "dest"):
        (tmp_path / folder / "a").write_bytes(b"one")
    client = s3.client()
    client.put_object(Bucket=bucket, Key="data/a", Body=b"one")
    entry = {"key": "data/a", "size_bytes": 3, "sha256": content(b"one").sha256}
    body = json.dumps({"files": [entry]})
    client.put_object(Bucket=bucket, Key="data/manifests/m.json", Body=body)
    return Eyes(client, bucket, "data/", "data/manifests/")


def look(eyes: Eyes, tmp_path: Path) -> Sides:
    return eyes.look(tmp_path / "source", tmp_path / "dest")


def kinds(eyes: Eyes, tmp_path: Path, before: dict[str, bytes] | None = None) -> set[str]:
    """The kinds of everything that is found, of both transfers."""
    sides = look(eyes, tmp_path)
    history = {"a": {content(b"one").sha256}}
    source = {"a": content(b"one")}
    found = [
        *checker.missing(sides, eyes, "up", set()),
        *checker.missing(sides, eyes, "down", set()),
        *checker.invented(sides, eyes, history),
        *checker.outside(sides, eyes, source, set(), tmp_path, {"source", "dest", "results"}),
        *checker.published(sides, eyes, before or {}, set(), proven=True),
        *checker.held(tmp_path / "results"),
        *checker.leftovers(sides, tmp_path / "results", set()),
    ]
    return {finding.kind for finding in found}


def test_nothing_is_found_where_all_is_right(eyes: Eyes, tmp_path: Path) -> None:
    assert kinds(eyes, tmp_path) == set()


@pytest.mark.parametrize(
    ("key", "body", "kind"),
    [
        ("data/a", b"two", {"wrong bytes", "invented object", "manifest false"}),
        ("data/b", b"one", {"missing", "invented object"}),
        ("elsewhere", b"one", {"outside"}),
        ("data/manifests/n.json", b"{}", {"manifest false"}),
        ("data/manifests/n.json", b'{"files": []}', {"manifest false"}),
    ],
)
def test_an_object_that_must_not_be_is_found(
    eyes: Eyes, tmp_path: Path, key: str, body: bytes, kind: set[str]
) -> None:
    look(eyes, tmp_path)
    eyes.client.put_object(Bucket=eyes.bucket, Key=key, Body=body)
    assert kinds(eyes, tmp_path) == kind


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("source/a", b"two", {"wrong bytes", "source touched"}),
        ("source/b", b"one", {"missing", "source touched", "manifest false"}),
        ("dest/a", b"two", {"wrong bytes", "invented file"}),
        ("dest/b", b"one", {"invented file"}),
        ("dest/.waybill-x.part", b"o", {"leftover part"}),
        ("results/up/.x.tmp", b"", {"leftover tmp"}),
        ("evil", b"", {"outside"}),
    ],
)
def test_a_file_that_must_not_be_is_found(
    eyes: Eyes, tmp_path: Path, path: str, data: bytes, kind: set[str]
) -> None:
    look(eyes, tmp_path)
    (tmp_path / path).write_bytes(data)
    assert kinds(eyes, tmp_path) == kind


def test_what_is_gone_is_found(eyes: Eyes, tmp_path: Path) -> None:
    look(eyes, tmp_path)
    (tmp_path / "dest" / "a").unlink()
    assert kinds(eyes, tmp_path) == {"missing"}
    eyes.client.delete_object(Bucket=eyes.bucket, Key="data/a")
    assert kinds(eyes, tmp_path) == {"missing", "manifest false"}


def test_an_object_that_nobody_can_read_is_not_there(
    eyes: Eyes, proxy: Proxy, tmp_path: Path
) -> None:
    eyes.client = proxy.client()
    fault = proxy.fault(Truncate("response", 1), op="GetObject", key="data/a", times=1)
    assert kinds(eyes, tmp_path) == set()
    eyes.client.put_object(Bucket=eyes.bucket, Key="data/a", Body=b"two")
    proxy.fault(Truncate("response", 1), op="GetObject", key="data/a", times=99)
    assert kinds(eyes, tmp_path) == {"missing", "manifest false"}
    assert fault.hits == 1


def test_another_manifest_under_the_same_key_is_found(eyes: Eyes, tmp_path: Path) -> None:
    before = look(eyes, tmp_path).manifests
    body = next(iter(before.values())) + b"\n"
    eyes.client.put_object(Bucket=eyes.bucket, Key="data/manifests/m.json", Body=body)
    assert kinds(eyes, tmp_path, before) == {"manifest overwritten"}


def test_a_lock_that_is_held_is_found(eyes: Eyes, tmp_path: Path) -> None:
    with (tmp_path / "results" / "up" / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert kinds(eyes, tmp_path) == {"lock"}


def test_a_seed_draws_the_same_rounds_again() -> None:
    for seed in range(50):
        assert rounds.draw(random.Random(seed)) == rounds.draw(random.Random(seed))
