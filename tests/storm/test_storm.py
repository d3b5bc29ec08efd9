"""A short storm: `make storm` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from storm.play import play
from support.server import S3Server

# Six rounds with both directions, engines and forms of the chain, and trouble of every kind.
SEED = "test 56415"
ROUNDS = 3


@pytest.mark.parametrize("number", [0, 1])
def test_a_short_storm_finds_nothing(number: int, tmp_path: Path, s3: S3Server) -> None:
    told = play(SEED, number, ROUNDS, tmp_path, s3, lean=True)
    assert told.tally.rounds == ROUNDS
    assert not told.findings, "\n".join(finding.told(SEED) for finding in told.findings)
