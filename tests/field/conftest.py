"""Fixtures of the field tests: jobs of this process that ask the local server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engines import without_pauses
from support.jobs import MIB, Use
from support.objects import keys
from support.proxy import Proxy
from support.saying import Aws
from support.server import S3Server, env_for
from waybill.move import mover
from waybill.s3 import parts


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, s3: S3Server, bucket: str) -> Iterator[Use]:
    """Have jobs of this process ask the server at an address, and not wait between attempts."""
    without_pauses(monkeypatch)

    def use(url: str) -> None:
        nowhere = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,amazonaws.com,s3.test")
        for name, value in (env_for(url) | nowhere).items():
            monkeypatch.setenv(name, value)

    yield use
    client = s3.client()
    for key in keys(s3, bucket):
        client.delete_object(Bucket=bucket, Key=key)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Files above 6 MiB go in parts of 5 MiB; the bytes of one that has two parts."""
    monkeypatch.setattr(mover, "MULTIPART_ABOVE_BYTES", 6 * MIB)
    monkeypatch.setattr(parts, "SMALLEST_PART_BYTES", 5 * MIB)
    return random.Random(5).randbytes(7 * MIB)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> Aws:
    """A user with a configuration of AWS, whose requests go through the proxy."""
    return Aws(tmp_path, monkeypatch, proxy.endpoint_url)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Four files of two kinds, two of them in a folder."""
    for name in ("a.tif", "b.csv", "more/c.tif", "more/d.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "data"
