"""Fixtures every test may use: a local S3 server, a fresh bucket, and a proxy in front."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import Door
from glaciers import Glacier
from sequencing import Core

from support import models
from support.proxy import Proxy
from support.server import S3Server
from waybill.s3.permissions import NEEDS

# A suite that was started in the background, or by nohup, is told to ignore signals, and so would
# be all the runs that are sent one. A handler, unlike SIG_IGN, is not handed on to other programs.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
models.keep()

# Folders of tests that run Snakemake. The slowest take 150 s on a quiet machine of two cores, and
# five times that on a busy one; more stands on the test itself.
SNAKEMAKE = {"docs", "door", "field", "slurm", "storm", "stores", "workflow"}
SNAKEMAKE_TIMEOUT_SECONDS = 900

# What Waybill may ask for. boto3 asks with HeadBucket which region a bucket is in, after an answer
# that sent it elsewhere; a bucket tells it without a permission, too.
OPERATIONS = {need.operation for need in NEEDS} | {"HeadBucket"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that run Snakemake the time they need."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in SNAKEMAKE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SNAKEMAKE_TIMEOUT_SECONDS))


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
    """A proxy in front of the server; a fault that could not act fails the test, and so does a
    request that stands in no policy of docs/permissions.md."""
    with Proxy(s3.endpoint_url) as running:
        yield running
    assert running.errors == []
    assert running.operations <= OPERATIONS


@pytest.fixture
def door(tmp_path: Path, bucket: str, proxy: Proxy) -> Door:
    """A user with an empty home and an empty data folder."""
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    return Door(home, data, bucket, proxy)


@pytest.fixture
def glacier(tmp_path: Path, bucket: str, proxy: Proxy) -> Glacier:
    """A user of ``sync-from-s3`` with an empty data folder and a configuration."""
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    user = Glacier(home, data, bucket, proxy)
    user.configure()
    return user


@pytest.fixture
def core(tmp_path: Path, bucket: str, proxy: Proxy) -> Core:
    """A user of ``s3-upload`` with an empty home and an empty data folder."""
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    return Core(home, data, bucket, proxy)
