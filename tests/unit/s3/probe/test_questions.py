"""What follows from the answers of a store."""

from __future__ import annotations

from waybill.s3.probe.questions import QUESTIONS, Answer, Need, Row, exit_code, lacking, settings


def rows(**answers: str) -> list[Row]:
    """A row for each question, yes where nothing else is said; ``_`` stands for a blank."""
    told = {name.replace("_", " "): Answer(text) for name, text in answers.items()}
    return [Row(q, told.get(q.name, Answer.YES), "") for q in QUESTIONS]


def test_all_is_there() -> None:
    assert exit_code(rows()) == 0
    assert settings(rows(), {"profile": "lab", "region": None}) == {"profile": "lab"}


def test_what_is_needed_and_not_told_is_lacking() -> None:
    assert lacking(rows(multipart="no", pages="-", attributes="no")) == ["pages", "multipart"]
    assert exit_code(rows(multipart="-")) == 1


def test_what_is_used_and_not_there_is_done_without() -> None:
    used = {q.name: "no" for q in QUESTIONS if q.need is not Need.NEEDED}
    assert exit_code([Row(q, Answer(used.get(q.name, "yes")), "") for q in QUESTIONS]) == 0


def test_settings_follow_from_a_no_alone() -> None:
    found = [r._replace(answer=Answer.NO) if r.question.name == "SHA-256" else r for r in rows()]
    assert settings(found, {}) == {"request_checksum_calculation": "when_required"}
    assert exit_code(found) == 0
    untold = [row._replace(answer=Answer.UNTOLD) for row in rows()]
    assert settings(untold, {}) == {}


def test_the_advice_of_a_no() -> None:
    (row,) = [row for row in rows() if row.question.name == "engine native"]
    assert row.advice == ""
    assert row._replace(answer=Answer.NO).advice == (
        'engine `boto3` does all; set engine = "boto3"'
    )


def test_what_is_used_says_what_is_done_without_it() -> None:
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        if question.need is Need.USED:
            assert question.without, question.name
