"""How many requests go at one time: the limit follows the rate, and SlowDown is obeyed together."""

import pytest

from waybill.s3.engine.limit import PROBE_WINDOWS, START, WINDOW_SECONDS, Gate


class Line:
    """A gate with a clock of its own, in front of a server that does ``rate(n)`` requests a second
    when ``n`` are in flight."""

    def __init__(self, rate, most=256):
        self.now, self.rate = 0.0, rate
        self.gate = Gate(most, clock=lambda: self.now, jitter=lambda _a, b: b)
        self.seen = []

    def enter(self):
        """Wait until the gate is open: time passes, or a request ends."""
        while not self.gate.is_open:
            if pause := self.gate.pause:
                self.now += pause
            else:
                self.end_one()
        self.gate.enter()

    def end_one(self):
        self.now += 1 / self.rate(self.gate.in_flight)
        self.seen.append(self.gate.in_flight)
        self.gate.leave(0)

    def run(self, requests):
        for _ in range(requests):
            self.enter()
        while self.gate.in_flight:
            self.end_one()


def test_the_limit_grows_while_that_brings_more():
    line = Line(lambda n: 100 * n)
    line.run(20_000)
    assert line.gate.limit == 256
    assert max(line.seen) == 256


@pytest.mark.parametrize("best", [16, 64])
def test_the_limit_stays_where_more_brings_nothing(best):
    line = Line(lambda n: 100 * min(n, best))
    line.run(10_000 * best)
    late = line.seen[len(line.seen) // 2 :]
    assert sum(late) / len(late) <= 2.5 * best
    assert sorted(late)[len(late) // 2] == best  # most of the time


def test_the_limit_never_exceeds_what_is_allowed():
    line = Line(lambda n: 100 * n, most=5)
    line.run(1000)
    assert max(line.seen) == 5


def test_a_limit_that_holds_nothing_up_tells_nothing():
    line = Line(lambda n: 100 * n)
    for _ in range(1000):
        line.run(1)
    assert line.gate.limit == START


def test_a_slower_server_is_noticed():
    """A limit that was best is tried again when times have changed."""
    speed = 64
    line = Line(lambda n: 100 * min(n, speed))
    line.run(100_000)
    assert line.gate.limit in (64, 128)
    speed = 256
    line.run(int(100 * 128 * WINDOW_SECONDS * PROBE_WINDOWS * 10))
    assert line.gate.limit == 256


def test_slow_down_halves_the_limit_once_for_all_in_flight():
    line = Line(lambda n: 100 * n)
    line.run(20_000)
    waits = {line.gate.slow_down() for _ in range(100)}
    assert line.gate.limit == 128
    assert all(0.5 <= wait <= 0.7 for wait in waits)  # half a second, and jitter
    began = line.now
    line.enter()
    assert line.now - began > 0.49  # nothing new is sent meanwhile
    line.gate.leave(0)


def test_slow_down_again_and_again_waits_longer():
    line = Line(lambda n: 100 * n)
    waits = []
    for _ in range(10):
        waits.append(line.gate.slow_down())
        line.now += waits[-1]
    assert waits == sorted(waits)
    assert 15 < waits[-1] <= 20.1
    assert line.gate.limit == 1
    line.run(2_000)
    assert line.gate.limit > 1  # it recovers


def test_back_off_grows_and_is_jittered():
    gate = Gate(8)
    for attempt, top in ((1, 0.5), (2, 1), (4, 4), (9, 20)):
        waits = {gate.back_off(attempt) for _ in range(50)}
        assert len(waits) > 10
        assert all(top / 2 <= wait <= top for wait in waits)
