"""A user for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import Door
from glaciers import Glacier
from sequencing import Core

from support.proxy import Proxy


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
