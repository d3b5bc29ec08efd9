"""Probes of stores in tests: all rows, or the answer to one question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.transfers import transfer_of
from waybill.model.transfer import Transfer
from waybill.s3.probe.ask import ANSWERS, ask, reach
from waybill.s3.probe.questions import Row
from waybill.s3.probe.store import Store


def transfer_to(endpoint_url: str, bucket: str, **settings: Any) -> Transfer:
    settings = {"endpoint_url": endpoint_url, "region": "us-east-1", **settings}
    return transfer_of(Path.cwd(), bucket, "probed/", **settings)


def all_rows(transfer: Transfer) -> list[Row]:
    """The rows of a whole probe, which leaves no upload open."""
    rows, reached = reach(transfer)
    if reached is not None:
        store = Store(reached)
        rows += ask(store)
        assert store.close() == []
    return rows


def answer_of(name: str, transfer: Transfer) -> str:
    """The answer to one question alone."""
    if name not in ANSWERS:
        rows, _ = reach(transfer)
        return {row.question.name: row for row in rows}[name].answer
    store = Store(transfer)
    (row,) = ask(store, [name])
    store.close()
    return row.answer
