"""Checks are independent: one that hangs or breaks is a row, and hides no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from waybill.cli.doctor.rows import Check, Row, Verdict, count, exit_code, run_checks
from waybill.model.errors import WaybillError

RIGHT = Row("right", Verdict.OK, "so")


def right() -> Iterator[Row]:
    yield RIGHT


def test_a_check_that_hangs_keeps_its_rows_and_hides_no_other() -> None:
    gone = threading.Event()

    def hangs() -> Iterator[Row]:
        yield RIGHT
        gone.wait()

    try:
        slow, quick = run_checks([Check("slow", hangs), Check("quick", right)], seconds=0.3)
    finally:
        gone.set()
    assert quick == [RIGHT]
    assert slow[0] == RIGHT
    assert (slow[1].check, slow[1].verdict) == ("slow", Verdict.FAIL)
    assert slow[1].found == "no answer within 1 s"


def test_a_check_that_breaks_is_a_row_that_fails() -> None:
    def breaks(error: Exception) -> Iterator[Row]:
        yield RIGHT
        raise error

    errors = [
        ZeroDivisionError("by\nzero"),
        PermissionError(13, "Permission denied", "/f"),
        WaybillError("s3://b/: is not there"),
        ModuleNotFoundError("No module named 'boto3'"),
    ]
    checks = [Check("c", lambda e=error: breaks(e)) for error in errors]
    found = run_checks([*checks, Check("last", right)], seconds=30)
    assert found.pop() == [RIGHT]
    assert [rows[0] for rows in found] == [RIGHT] * 4
    assert {rows[1].verdict for rows in found} == {Verdict.FAIL}
    assert [rows[1].found for rows in found] == [
        "the check itself failed: ZeroDivisionError: by\\nzero",
        "/f: Permission denied",
        "s3://b/: is not there",
        "No module named 'boto3'",
    ]


def test_more_checks_than_run_at_one_time_keep_their_order() -> None:
    checks = [Check(str(n), lambda n=n: [Row(str(n), Verdict.OK, "")]) for n in range(40)]
    assert [rows[0].check for rows in run_checks(checks, 30)] == [str(n) for n in range(40)]


def test_only_what_will_not_work_fails() -> None:
    rows = [RIGHT, Row("w", Verdict.WARN, ""), Row("-", Verdict.UNTOLD, ""), RIGHT]
    assert exit_code(rows) == 0
    assert count(rows) == "1 will hurt, 2 right, 1 not told"
    rows.append(Row("f", Verdict.FAIL, ""))
    assert exit_code(rows) == 1
    assert count(rows).startswith("1 will not work, ")
