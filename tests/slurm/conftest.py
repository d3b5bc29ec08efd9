"""Fixtures of the tests on a real SLURM cluster; `make test-slurm` starts it (`cluster.sh`)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from clones import Clone, scontrol

from support.proxy import Proxy


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """The cluster; without one nothing here can be told."""
    if shutil.which("scontrol") is None or "ClusterName             = waybill" not in scontrol(
        "show", "config"
    ):
        pytest.exit("the test cluster is not running: make test-slurm starts it", 2)


@pytest.fixture
def clone(tmp_path: Path, proxy: Proxy) -> Clone:
    """A clone that nobody has used."""
    return Clone(tmp_path / "clone", proxy)


@pytest.fixture(scope="session")
def mebibyte() -> bytes:
    """Bytes that do not compress, to make large files of."""
    return random.Random("slurm").randbytes(1 << 20)
