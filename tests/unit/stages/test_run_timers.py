"""The end of a run does not wait for the timers of Snakemake's scheduler."""

from __future__ import annotations

import threading

from waybill.stages.snakemake_private import Snakemake


def test_timers_end_unheard_and_other_threads_go_on() -> None:
    rung, go_on = threading.Event(), threading.Event()
    timer = threading.Timer(60, rung.set)
    other = threading.Thread(target=go_on.wait, args=(60,))
    for thread in (timer, other):
        thread.start()
    Snakemake.drop_timers()
    timer.join(10)
    assert not timer.is_alive()
    assert not rung.is_set()
    assert other.is_alive()
    go_on.set()
    other.join(10)
