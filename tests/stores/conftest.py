"""Fixtures of the tests on servers of several makers; `make test-stores` runs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from brands import BRANDS, NotInstallable

from support.proxy import Proxy
from support.server import client_for
from support.workflow import Workflow


@pytest.fixture(scope="module", params=[name for name in BRANDS if name != "moto"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one maker's server."""
    folder = tmp_path_factory.mktemp(request.param)
    try:
        with BRANDS[request.param].start(folder) as url:
            yield url
    except NotInstallable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def at(store: str, tmp_path: Path) -> Iterator[Workflow]:
    """A folder to work in, before a proxy to the server."""
    with Proxy(store) as proxy:
        yield Workflow(tmp_path, proxy)
    assert proxy.errors == []


@pytest.fixture
def bucket(store: str) -> str:
    """An empty bucket on that server."""
    client = client_for(store)
    name = f"waybill-{len(client.list_buckets().get('Buckets', ()))}"
    client.create_bucket(Bucket=name)
    return name
