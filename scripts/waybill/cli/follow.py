"""The runs of another terminal or node, as their jobs tell of themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping

from waybill.cli.launch import TICK_SECONDS
from waybill.cli.status import at_work
from waybill.cli.terminal import Screen
from waybill.model.transfer import Transfer
from waybill.model.verbs import verb_of
from waybill.results.forecast import Forecast
from waybill.results.layout import Layout
from waybill.results.run_progress import look
from waybill.verify.layout import expected, last_run

HEARD_SECONDS = 90.0  # a job that has written something so short ago is at work


def forecast_of(transfers: Mapping[str, Transfer]) -> Forecast:
    """A forecast of the runs of these transfers."""
    return Forecast(
        (Layout(transfer.results) for transfer in transfers.values()),
        verb_of(transfers.values()).doing,
        expected=lambda layout: expected(last_run(layout)),
    )


def is_running(transfer: Transfer) -> bool:
    """Whether a run of a transfer is at work: it holds the lock of the results, or one of its jobs
    has told something just now, for file systems without locks and clocks that agree."""
    layout = Layout(transfer.results)
    if at_work(layout):
        return True
    run, working = look(layout)
    heard = time.time() - HEARD_SECONDS
    return not run.ended and any(job.time > heard for job in working.values())


def follow(screen: Screen, transfers: Mapping[str, Transfer]) -> bool:
    """Show the progress of the runs at work until all of them have ended. Returns whether there was
    any."""
    running = {name: transfer for name, transfer in transfers.items() if is_running(transfer)}
    if not running:
        return False
    forecast = forecast_of(running)
    try:
        while any(is_running(transfer) for transfer in running.values()):
            screen.progress(forecast.look())
            time.sleep(TICK_SECONDS)
    finally:
        screen.clear()
    return True
