"""The entries of a transfer, as its results tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.made import Made
from waybill.report import entries
from waybill.report.entries import Entries
from waybill.results import outcome
from waybill.system.files import write_atomic


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def read(made: Made) -> Entries:
    made.end()
    found = outcome.read(made.transfer, made.layout)
    return entries.read(made.transfer, made.layout, made.state, found.failures, "run1")


def rows(found: Entries, *names: str) -> list[tuple[object, ...]]:
    return list(found.kept[list(names)].itertuples(index=False, name=None))


def test_proven_entries_tell_what_the_last_run_moved(made: Made) -> None:
    made.batch({"a": 10, "b": 30, "c": 20}, moved=2)
    found = read(made)
    assert rows(found, "path", "size", "state", "moved") == [
        ("b", 30, "proven", True),
        ("c", 20, "proven", False),
        ("a", 10, "proven", True),
    ]
    assert found.moved == {("t", "b.a.00000000"): (2, 40)}
    assert found.of("proven") == (3, 60)
    assert len(found.kept["sha256"][0]) == 64


def test_the_worst_come_first(made: Made) -> None:
    made.batch({"fine": 1_000}, name="b.a.00000000")
    made.batch({"small": 1, "large": 9, "bad": 3}, name="b.b.00000000", proven=False, status="+")
    made.fail("upload", "bad", "denied", batch="b.b.00000000")
    made.aside(
        "!\twaits\t\theld back: too new\n!\tsock\t\tskipped: not a regular file\n"
        "!\tlong\t\trefused: too long\n-\tthere\t5\tonly at the destination\n"
    )
    found = read(made)
    assert rows(found, "path", "state", "reason") == [
        ("bad", "failed", "denied"),
        ("long", "refused", "refused: too long"),
        ("large", "to be moved", "is new"),
        ("small", "to be moved", "is new"),
        ("waits", "held back", "held back: too new"),
        ("sock", "skipped", "skipped: not a regular file"),
        ("there", "only at the destination", "only at the destination"),
        ("fine", "proven", ""),
    ]
    assert found.total == 8


def test_what_has_arrived_of_an_open_batch_is_proven(made: Made) -> None:
    made.batch({"a": 10, "b": 30}, proven=False, status="+", moved=1)
    assert rows(read(made), "path", "state") == [("b", "to be moved"), ("a", "proven")]


def test_without_a_diff_the_plan_decides(made: Made) -> None:
    made.batch({"a": 10, "b": 30, "c": 5, "d": 1}, proven=False)
    made.end()
    write_atomic(
        made.layout.plan,
        b"dataset\tstatus\taction\tpath\tsize\tmtime_ns\tsha256\treason\n"
        b"t\t+\tmove\ta\t10\t0\t\tis new\nt\t=\tkeep\tb\t30\t0\t\t\nt\t?\t\tc\t5\t0\t\t\n",
    )
    found = entries.read(made.transfer, made.layout, made.state, [], "run1")
    assert rows(found, "path", "state") == [
        ("a", "to be moved"),
        ("c", "not compared"),
        ("d", "not compared"),
        ("b", "proven"),
    ]


def test_without_a_plan_it_is_said_that_nothing_was_compared(made: Made) -> None:
    made.batch({"a": 10}, proven=False)
    assert rows(read(made), "path", "state") == [("a", "not compared")]


def test_sizes_are_counted_by_powers_of_four(made: Made) -> None:
    made.batch({"empty": 0, "one": 1, "three": 3, "four": 4, "kib": 1024, "more": 4095})
    made.aside("!\twaits\t\theld back: too new\n")
    assert read(made).sizes == {-1: (1, 0), 0: (2, 4), 1: (1, 4), 5: (2, 5119)}


@pytest.mark.parametrize("damage", [b"", b"path\tsize\n", b"\xff\xfe", b"path\tsize\ta\tb\n1\n"])
def test_a_table_that_cannot_be_read_is_named(made: Made, damage: bytes) -> None:
    made.batch({"a": 10}, name="b.a.00000000")
    made.batch({"b": 10}, name="b.b.00000000")
    marker = made.layout.marker("t", "b.a.00000000")
    marker.write_bytes(damage)
    found = read(made)
    assert rows(found, "path") == [("b",)]
    (line,) = found.damaged
    assert line.startswith(f"{marker}: damaged: ")


def test_a_size_that_is_no_number_is_damage(made: Made) -> None:
    made.batch({"a": 10}, proven=False)
    table = made.layout.local("t", "b.a.00000000")
    table.write_text(table.read_text(encoding="utf-8").replace("\t10\t", "\tten\t"))
    found = read(made)
    assert found.total == 0
    assert len(found.damaged) == 1


def test_only_so_many_rows_are_kept(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_KEPT", 3)
    for number in range(5):
        files = {f"{number}/{n}": 10 * number + n for n in range(4)}
        made.batch(files, name=f"b.{number}.00000000")
    made.batch({"bad": 1}, name="b.x.00000000", proven=False, status="!")
    found = read(made)
    assert rows(found, "path") == [("bad",), ("4/3",), ("4/2",)]
    assert found.total == 21
    assert found.of("proven")[0] == 20


@pytest.mark.parametrize("told", ["long", "t/long"])
def test_a_refusal_of_the_inventory_is_one_entry(made: Made, told: str) -> None:
    made.batch({"a": 1})
    made.aside("!\tlong\t\trefused: too long\n")
    made.fail("inventory", told, "refused: too long", dataset="")
    assert rows(read(made), "path", "state") == [("long", "refused"), ("a", "proven")]


def test_names_stay_as_they_stand_in_the_tables(made: Made) -> None:
    made.batch({"tab\there": 3, '"quoted"': 2, "NA": 1}, moved=1)
    assert rows(read(made), "path", "moved") == [
        ("tab\\there", True),
        ('"quoted"', False),
        ("NA", False),
    ]


def test_a_failure_in_no_table_is_an_entry_too(made: Made) -> None:
    made.batch({"a": 1})
    made.fail("inventory", "lost", "cannot be read")
    found = read(made)
    assert rows(found, "path", "size", "state") == [("lost", -1, "failed"), ("a", 1, "proven")]
    assert found.of("failed") == (1, 0)
