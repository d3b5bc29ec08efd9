"""E9: every request of a transfer has its permission in docs/permissions.md, and no more stand
there than are used."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from support import permissions as iam
from support.faults import Answer
from support.proxy import Proxy, access_denied
from support.server import S3Server
from support.verifying import Verifying
from waybill.cli.doctor import bucket as doctor
from waybill.cli.pt5 import command as pt5
from waybill.model.errors import WaybillError
from waybill.move import download, mover
from waybill.s3 import permissions_page
from waybill.s3.client import bucket_accelerates, make_client
from waybill.s3.permissions import NEEDS, Extra, Need, Task, needs, policy
from waybill.s3.probe.ask import ask, reach
from waybill.s3.probe.store import Store

LARGE = 1 << 20  # what is larger goes in parts here: what is asked is the same, and less is sent
ARCHIVED = Answer(403, "InvalidObjectState", "The operation is not valid for the storage class")
ARN = "arn:aws:kms:REGION:ACCOUNT:key/KEY"


class Recorded:
    """Tasks of one user, and the requests of each."""

    def __init__(self, at: Verifying, s3: S3Server, engine: str) -> None:
        self.at, self.s3, self.engine = at, s3, engine
        self.calls: dict[Task, list[iam.Call]] = defaultdict(list)

    def record(self, task: Task, work: Callable[[], object], *, fails: bool = False) -> None:
        first = len(self.at.proxy.requests)
        with pytest.raises(WaybillError) if fails else nullcontext():
            work()
        self.calls[task] += list(iam.calls(self.at.proxy.requests))[first:]

    def move(self, direction: str = "upload", *, fails: bool = False, **settings: object) -> None:
        work = lambda: self.at.move(direction, engine=self.engine, **settings)  # noqa: E731
        self.record(Task(direction), work, fails=fails)

    def upload(self, **settings: object) -> None:
        """Small files and a large one: begun, resumed, changed, compared; a manifest."""
        at = self.at
        large = at.data / "large.bin"
        (at.data / "small.csv").write_bytes(os.urandom(100))
        (at.data / "foreign.csv").write_bytes(b"foreign")
        self.s3.client().put_object(Bucket=at.bucket, Key="x/foreign.csv", Body=b"foreign")
        for size in (LARGE + 9, LARGE + 8):
            large.write_bytes(os.urandom(size))
            broken = at.proxy.fault(access_denied(), op="CompleteMultipartUpload", times=1)
            self.move(fails=True, **settings)
            assert broken.hits == 1
            if size > LARGE + 8:
                self.move(**settings)
        large.write_bytes(os.urandom(LARGE + 7))
        self.move(**settings)

    def download(self) -> None:
        """The same objects; one of them is archived at first."""
        broken = self.at.proxy.fault(ARCHIVED, op="GetObject", key="*/small.csv", times=1)
        for file in self.at.data.iterdir():
            file.unlink()
        self.move("download", fails=True)
        assert broken.hits == 1
        self.move("download")

    def verify(self) -> None:
        for depth in ("listing", "metadata", "content"):
            self.record(Task.VERIFY, lambda depth=depth: self.at.verify(depth))
            if depth == "listing":  # the page says that it needs nothing more
                assert {call.operation for call in self.calls[Task.VERIFY]} == {"ListObjectsV2"}

    def look(self) -> None:
        """Doctor, probe, and what asks for more."""
        transfer = replace(self.at.transfer(), engine=self.engine)
        self.record(Task.DOCTOR, lambda: list(doctor.check(transfer)))
        self.record(Task.PROBE, lambda: probe(transfer))
        client = make_client(transfer)
        for task in (Task.UPLOAD, Task.DOWNLOAD, Task.VERIFY):
            self.record(task, lambda: bucket_accelerates(client, transfer))
        self.record(Task.PT5, lambda: pt5.main(["--validate"]))


def probe(transfer) -> None:
    store = Store(reach(transfer)[1])
    for _ in ask(store):
        pass
    assert store.close() == []


def needed(task: Task, call: iam.Call) -> list[Need]:
    """What the table says of a request of a task."""
    extras = [Extra(extra) for extra in call.extras]
    return [need for need in needs(task, extras) if need.operation == call.operation]


@pytest.mark.parametrize("engine", ["boto3", "native"])
def test_E9_every_request_has_its_permission(
    tmp_path: Path, s3: S3Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    for module in (mover, download):
        monkeypatch.setattr(module, "MULTIPART_ABOVE_BYTES", LARGE)
    monkeypatch.setattr(proxy, "clear", lambda: None)
    monkeypatch.chdir(tmp_path)
    used: set[tuple[Task, Need]] = set()
    more = {"sse": "aws:kms", "tags": {"of": "us"}, "acl": "bucket-owner-full-control"}
    for name, settings in (("plain", {}), ("kms", more)):
        bucket = s3.make_bucket(f"{name}-{uuid.uuid4().hex[:12]}")
        (tmp_path / name).mkdir()
        done = Recorded(Verifying(tmp_path / name, proxy, bucket, monkeypatch), s3, engine)
        done.upload(**settings)
        done.verify()
        if not settings:
            done.look()
        done.download()
        used |= held(done.calls, {ARN: "KEY", "BUCKET": bucket, "PREFIX": "x"})
    assert set(NEEDS) - {need for _, need in used} == set()
    allowed = {(task, need.action) for need in NEEDS for task in need.tasks}
    assert allowed - {(task, need.action) for task, need in used} == set()


def held(calls: dict[Task, list[iam.Call]], words: dict[str, str]) -> set[tuple[Task, Need]]:
    """What the table says of each request; the policy of its task allows it."""
    used = set()
    for task, made in calls.items():
        for call in made:
            extras = [Extra(extra) for extra in call.extras]
            found = needed(task, call)
            assert found, f"{task}: {call.operation} of {call.key!r} stands in no row"
            for need in found:
                allowed = iam.allows(policy(task, extras), need.action, call, words)
                assert allowed, f"{task}: {need.action} for {call}"
            used |= {(task, need) for need in found}
    return used


def test_E9_the_page_is_that_of_the_table() -> None:
    assert permissions_page.main(["--check"]) == 0, "run: make docs"
