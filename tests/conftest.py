"""Fixtures every test may use: a local S3 server, a fresh bucket, and a proxy in front."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator

import pytest

from support.proxy import Proxy
from support.server import S3Server

# A suite that was started in the background is told to ignore interrupts, and so would be all the
# runs whose interrupts are looked at.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One local S3 server for all tests; buckets keep them apart."""
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """The name of an empty bucket of this test's own."""
    return s3.make_bucket(f"waybill-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    """A proxy in front of the server; a fault that could not act fails the test."""
    with Proxy(s3.endpoint_url) as running:
        yield running
    assert running.errors == []
