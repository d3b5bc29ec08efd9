"""Puts objects by an engine, without a job."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import Future
from typing import Any

import pytest

from waybill.s3.engine.base import Content, Engine
from waybill.s3.engine.limit import Gate
from waybill.s3.evidence import Stored

DATA = random.Random(9).randbytes(200_000)
NAME = "ä folder/name with + and %20 ~'(1)*.bin"


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests of this process sent again at once, unless the server asks for a pause."""
    monkeypatch.setattr(Gate, "back_off", lambda *_: 0.01)
    monkeypatch.setattr("waybill.s3.retries.back_off", lambda *_, **__: 0.0)
    monkeypatch.setattr("waybill.s3.engine.base.random.uniform", lambda *_: 0.001)


def put(
    engine: Engine, data: bytes = DATA, *, key: str = NAME, condition: dict[str, Any] | None = None
) -> Stored:
    """Put an object, and wait for it."""
    sha256 = hashlib.sha256(data).hexdigest()
    metadata = {"source-sha256": sha256, "source-mtime": "1.000000005"}
    return begin(engine, key, data, metadata, condition).result(60)


def begin(
    engine: Engine,
    key: str,
    data: bytes,
    metadata: dict[str, str] | None = None,
    condition: dict[str, Any] | None = None,
) -> Future[Stored]:
    """Begin to put an object."""
    content = Content(data, hashlib.sha256(data).hexdigest(), metadata or {})
    return engine.put_object(key, len(data), lambda: content, condition or {})
