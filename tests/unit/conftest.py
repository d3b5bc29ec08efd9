"""What several files of tests share: a configuration given as text, a message, and what a channel
says that does not deliver it. Property tests run the same examples everywhere and are not timed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from waybill.config import read
from waybill.notify.channels import DeliveryError
from waybill.notify.message import Item, Message
from waybill.notify.report import Dataset, Report

settings.register_profile("waybill", deadline=None, derandomize=True)
settings.load_profile("waybill")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a configuration given as text; it is called ``c.toml`` in messages."""
    monkeypatch.chdir(tmp_path)

    def _load(text, **options):
        Path("c.toml").write_text(text, encoding="utf-8")
        return read.load("c.toml", **options)

    return _load


@pytest.fixture
def message():
    """A message about one transfer that went well."""
    report = Report(
        "gut", "generic", "upload", "/data/ü", "s3://bucket/gut/", "/r/gut",
        files=2, bytes=9, datasets=(Dataset("gut", 1, 5, True),),
    )  # fmt: skip
    return Message(
        (Item(report, ("success",)),),
        exit_code=0,
        host="node7",
        now=datetime(2026, 11, 21, 12, 30, tzinfo=UTC),
    )


@pytest.fixture
def refusal(message):
    """What a channel says that does not deliver."""

    def _refusal(channel):
        with pytest.raises(DeliveryError) as caught:
            channel.send(message)
        text = str(caught.value)
        assert "HUSH" not in text and "\n" not in text
        assert caught.value.__cause__ is None  # no error that holds an address goes along
        return text

    return _refusal
