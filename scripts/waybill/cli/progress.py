"""How much of a plan has arrived, told by the journals."""

from __future__ import annotations

from waybill.cli.plan import Plan
from waybill.results import journal, state
from waybill.results.layout import Layout


def arrived(layout: Layout, plan: Plan) -> tuple[int, int]:
    """Files and bytes of a plan that were moved after its inventory."""
    run = state.read(layout).run
    wanted = {(move.dataset, move.path) for move in plan.moves}
    sizes = [
        size
        for dataset, batch in (state.batches(layout) if wanted else ())
        for path, size in journal.read([layout.journal(dataset, batch)], run).moved(run).items()
        if (dataset, path) in wanted
    ]
    return len(sizes), sum(sizes)
