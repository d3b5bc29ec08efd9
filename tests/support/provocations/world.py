"""A world in which one thing is not as it should be, and what is said there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.proxy import (
    Answer,
    Proxy,
)
from support.saying import Aws, refusal
from support.server import S3Server
from support.transfers import transfer_of
from waybill.config import read
from waybill.inventory.walk import Walk
from waybill.model.difference import MOVE, NEW, Difference
from waybill.model.errors import WaybillError
from waybill.model.selection import Selection
from waybill.move.download import Downloader
from waybill.results import journal
from waybill.results.journal import Journal
from waybill.results.layout import Layout
from waybill.stages.task import Task

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


Capsys = pytest.CaptureFixture[str]
PROVOKED: dict[str, Callable[[World, Capsys], str]] = {}


def provokes(name: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    def note(how: Callable[..., str]) -> Callable[..., str]:
        PROVOKED[name] = how
        return how

    return note


def simple(name: str, how: Callable[[World], str]) -> None:
    PROVOKED[name] = lambda world, _: how(world)
