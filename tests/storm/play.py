"""Plays the rounds of one world, and begins another world where a finding has ended it."""

from __future__ import annotations

import functools
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

from storm import record, rounds
from storm.judge import LocalStack
from storm.rounds import Play, Tally
from storm.world import World
from support.server import S3Server

ROUNDS_OF_A_WORLD = 10
# Findings that leave the world as it should be, so that it goes on.
MILD = {"status 0", "status not 0", "traceback", "leftover tmp", "exit code"}


@dataclass
class Told:
    """What became of one world, and of those that took its place after a finding."""

    number: int
    tally: Tally = field(default_factory=Tally)
    findings: list[record.Found] = field(default_factory=list)


def play_here(seed: str, number: int, count: int, folder: Path, localstack: str) -> Told:
    """The same on the server of this process."""
    return play(seed, number, count, folder, _server(localstack))


def play(
    seed: str, number: int, count: int, folder: Path, server: S3Server, *, lean: bool = False
) -> Told:
    """Play ``count`` rounds. The same seed, number and count draw the same again."""
    told = Told(number)
    world, play_, began, kept = None, None, 0, False
    for index in range(count):
        rng = random.Random(f"{seed}/{number}/{index}")
        if world is None:
            began, kept = index, False
            place = folder / f"world-{number}-{index}"
            place.mkdir(parents=True)
            world = World(server, place, rng, lean=lean)
            play_ = Play(world, told.tally, server_checks=isinstance(server, LocalStack))
        assert play_ is not None
        found = play_.round(drawn(seed, number, index), rng)
        if found:
            (world.aside / "story.txt").write_text("\n".join([*world.story, *map(str, found)]))
            told.findings += [
                record.Found(
                    f.kind, f.text, number, index, began, tuple(world.story), str(world.folder)
                )
                for f in found
            ]
            kept = True
        spoiled = any(finding.kind not in MILD for finding in found)
        if spoiled or index == count - 1:
            world.close(keep=kept)
            world = None
    return told


def drawn(seed: str, number: int, index: int) -> rounds.Round:
    """The round that a seed draws for a place in a world."""
    return rounds.draw(random.Random(f"{seed}/{number}/{index}/round"))


@functools.cache
def _server(localstack: str) -> S3Server:
    """The server of this process; it ends with it."""
    return (LocalStack(Path(localstack)) if localstack else S3Server()).start()


def ready() -> None:
    # A storm in the background is told to ignore interrupts, and so would be its runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
