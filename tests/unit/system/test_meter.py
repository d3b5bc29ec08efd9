"""Bytes of a file count once, whatever becomes of the requests that carry them."""

from __future__ import annotations

from waybill.system.meter import METER, Counts, File, Meter, Span


def test_what_arrived_counts_for_its_size() -> None:
    meter = Meter()
    meter.expect([100, 30])
    meter.begin("k/a", "a", 100, large=True)
    meter.there("k/a", 40)
    meter.move("k/a", 25)
    assert meter.look() == Counts(
        files_total=2, moved=25, there=40, bytes_total=130, large=[File("a", 100, 25, 40)]
    )
    meter.end("k/a", arrived=True)  # an engine that told less than all
    assert meter.look() == Counts(1, 2, moved=60, there=40, bytes_total=130)


def test_what_failed_counts_nothing() -> None:
    meter = Meter()
    for key in ("k/a", "k/b"):
        meter.begin(key, key, 100)
        meter.move(key, 70)
    meter.there("k/b", 30)
    meter.end("k/b", arrived=False)
    assert (meter.look().moved, meter.look().there, meter.look().files) == (70, 0, 0)


def test_no_file_counts_for_more_than_its_size() -> None:
    meter = Meter()
    meter.begin("k", "f", 100)
    meter.move("k", 80)
    meter.move("k", 80)  # fetched again, because it came damaged
    assert meter.look().moved == 100
    meter.move("k", -300)
    assert meter.look().moved == 0
    meter.move("another", 5)  # such as a manifest
    assert meter.look().moved == 0


def test_a_look_stays_as_it_was() -> None:
    meter = Meter()
    meter.begin("k", "f", 100, large=True)
    before = meter.look()
    meter.move("k", 5)
    assert (before.moved, before.large) == (0, [File("f", 100)])


def test_a_request_that_is_sent_again_counts_once() -> None:
    key = "test/again"
    METER.begin(key, "f", 100)
    before = METER.look().moved

    def moved() -> int:
        return METER.look().moved - before

    span = Span(key)
    span.reach(60)
    span.reach(20)  # it broke off, and is sent from its beginning
    assert moved() == 60
    span.reach(90)
    assert moved() == 90
    span.drop()
    assert moved() == 0
    later = Span(key, 50)
    later.reach(80)
    assert moved() == 30
    METER.end(key, arrived=False)
