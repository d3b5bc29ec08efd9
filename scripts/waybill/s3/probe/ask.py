"""Asks a store all questions, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.s3.client import common_arguments, make_client
from waybill.s3.listing import list_after
from waybill.s3.probe import listings, objects, parts
from waybill.s3.probe.questions import QUESTIONS, Answer, Row
from waybill.s3.probe.store import ATTEMPTS, Refused, Store, Untold

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

ANSWERS = {**objects.ANSWERS, **listings.ANSWERS, **parts.ANSWERS}

BY_NAME = {question.name: question for question in QUESTIONS}
REACH, ADDRESSING = BY_NAME["reach"], BY_NAME["addressing"]


def reach(transfer: Transfer) -> tuple[list[Row], Transfer | None]:
    """The rows about the way to the store, and the transfer with the style of addresses that works;
    None when there is no way. Nothing is written. Raises WaybillError for a mistake in the
    settings."""
    other = replace(transfer, addressing_style="virtual")
    refused = None
    for style, answer in ((transfer, Answer.YES), (other, Answer.NO)):
        try:
            client = make_client(style, attempts=ATTEMPTS)
            request = {**common_arguments(style), "MaxKeys": 1}
            next(list_after(client, style, style.prefix, request), None)
        except WaybillError as error:
            if error.exit_code == EXIT_CONFIG:
                raise
            refused = refused or error
            continue
        found = "" if answer is Answer.YES else "only with the bucket in the name of the host"
        return [Row(REACH, Answer.YES, ""), Row(ADDRESSING, answer, found)], style
    rest = [Row(question, Answer.UNTOLD, "was not asked") for question in QUESTIONS[1:]]
    return [Row(REACH, Answer.NO, str(refused)), *rest], None


def ask(store: Store, names: Iterable[str] = tuple(ANSWERS)) -> Iterator[Row]:
    """The rows about a store that can be reached, to the questions of these names. The caller
    closes the store."""
    for question in map(BY_NAME.__getitem__, names):
        try:
            row = Row(question, *ANSWERS[question.name](store))
        except Refused as error:
            row = Row(question, Answer.NO, str(error))
        except Untold as error:
            row = Row(question, Answer.UNTOLD, str(error))
        yield row
