"""What a person sees, without a run behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from waybill.cli.plan import Move, Plan
from waybill.cli.progress import arrived
from waybill.cli.terminal import printable, table, width
from waybill.results import state
from waybill.results.journal import Journal, mark_listing
from waybill.results.layout import Layout
from waybill.results.marker import Proof


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sample 1.h5ad", "sample 1.h5ad"),
        ("é é ß 试.h5ad", "é é ß 试.h5ad"),
        ("a\tb\nc\\d", r"a\tb\nc\\d"),
        ("\x1b[2J\x07\x7f\x9b", r"\x1b[2J\x07\x7f\u009b"),
        ("\u202egnp.h5ad\u2028", r"\u202egnp.h5ad\u2028"),
        ("\udcff.h5ad", r"\xff.h5ad"),
    ],
)
def test_names_cannot_steer_the_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_columns_stand_below_each_other() -> None:
    rows = [("file", "MB"), ("试.h5ad", "1.00"), ("e\u0301.h5ad", "20.00")]
    lines = table(rows, right={1})
    assert {width(line) for line in lines} == {14}
    assert lines[0] == "file        MB"


def test_what_has_arrived_of_a_plan(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state.write(layout, state.State(run="now"))
    plan = Plan(moves=[Move("set", f"f{n}", 100, "", "new") for n in range(3)])
    path = layout.journal("set", "b0")
    for batch in ("b0", "b1"):
        layout.local("set", batch).parent.mkdir(parents=True, exist_ok=True)
        layout.local("set", batch).touch()

    def proof(name: str) -> Proof:
        return Proof(name, name, 100, 0, "", "etag", "", "")

    with Journal(path, "earlier") as earlier:
        earlier.done(proof("f0"))
    mark_listing(path, "now")
    assert arrived(layout, plan) == (0, 0)
    with Journal(path, "now") as journal:
        journal.done(proof("f1"))
        journal.done(proof("another batch's file that is not in the plan"))
    assert arrived(layout, plan) == (1, 100)
