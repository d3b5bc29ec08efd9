"""The pace of bytes, with a clock of its own: no test waits."""

import os
import random
import threading

import pytest

from waybill.model.bandwidth import Bandwidth
from waybill.system.pace import LARGEST_PIECE, SMALLEST_PIECE, Pace


class World:
    """A clock that only sleeping moves, and a folder for what is shared."""

    def __init__(self, folder):
        self.now, self.minute = 1000.0, 0
        self.folder = folder

    def pace(self, bandwidth, name="t", folder=None):
        if isinstance(bandwidth, int):
            bandwidth = Bandwidth(((0, bandwidth),))
        return Pace(
            bandwidth, name, clock=lambda: self.now, sleep=self.sleep,
            minute=lambda: self.minute, folders=(str(folder or self.folder),),
        )  # fmt: skip

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_bytes_keep_the_limit(world):
    pace = world.pace(100)
    for _ in range(11):
        pace.spend(50)
    assert world.now - 1000 == pytest.approx(5, abs=0.11)  # the first go at once
    pace.close()


def test_no_limit_costs_nothing(world):
    pace = world.pace(None)
    pace.spend(10**12)
    assert world.now == 1000
    assert pace.piece == LARGEST_PIECE
    assert list(world.folder.iterdir()) == []


def test_jobs_of_one_transfer_share_it(world):
    """In any order of their pieces; each has the file open by itself, as a process of its own."""
    jobs = [world.pace(1000) for _ in range(3)]
    rng = random.Random(1)
    for _ in range(300):
        rng.choice(jobs).spend(100)
    assert world.now - 1000 == pytest.approx(30, rel=0.1)
    other = world.pace(1000, name="another transfer")
    before = world.now
    other.spend(1000)
    assert world.now == before
    for job in (*jobs, other):
        job.close()


def test_threads_share_it(world):
    pace = world.pace(1000)
    waits = []

    def work():
        waits.extend(pace.reserve(10) for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(waits) == pytest.approx(4, abs=0.2)
    assert len({round(wait, 3) for wait in waits if wait > 0}) == sum(wait > 0 for wait in waits)
    pace.close()


def test_a_late_waking_is_made_up_for(world):
    """A sleep takes longer than asked for; over ten seconds that does not count."""
    pace = world.pace(1000)
    sleep = world.sleep
    pace._sleep = lambda seconds: sleep(seconds + 0.01)
    for _ in range(100):
        pace.spend(100)
    assert world.now - 1000 == pytest.approx(10, rel=0.1)
    pace.close()


def test_the_timetable_is_kept(world):
    pace = world.pace(Bandwidth(((480, 100), (1140, None))))
    pace.spend(10**9)
    assert world.now == 1000  # the last step of the day before
    world.minute = 480
    for _ in range(11):
        pace.spend(100)
    assert world.now - 1000 == pytest.approx(10, rel=0.1)
    world.minute = 1140
    pace.spend(10**9)
    assert world.now - 1000 == pytest.approx(10, rel=0.1)
    pace.close()


@pytest.mark.parametrize(
    ("limit", "piece"),
    [(1, SMALLEST_PIECE), (130 << 10, (130 << 10) // 8), (1 << 30, LARGEST_PIECE)],
)
def test_pieces_are_an_eighth_of_a_second(world, limit, piece):
    pace = world.pace(limit)
    assert pace.piece == piece
    pace.close()


@pytest.mark.parametrize("left", [b"", b"torn", b"\xff" * 8, b"\x00\x00\x00\x00\x00\x00\xf8\x7f"])
def test_what_another_start_of_the_machine_left_does_no_harm(world, left):
    world.pace(100).close()
    (file,) = world.folder.glob("*/*")
    file.write_bytes(left)
    pace = world.pace(100)
    pace.spend(50)
    pace.spend(50)
    assert world.now - 1000 < 1
    pace.close()


def test_a_folder_of_others_is_not_used(world, tmp_path):
    """Nobody else can stop the bytes of this user; the limit then is of the job alone."""
    mine = tmp_path / f"waybill-{os.getuid()}"
    mine.mkdir()
    mine.chmod(0o777)
    pace = world.pace(100)
    for _ in range(11):
        pace.spend(50)
    assert world.now - 1000 == pytest.approx(5, abs=0.11)
    assert list(mine.iterdir()) == []
    pace.close()
