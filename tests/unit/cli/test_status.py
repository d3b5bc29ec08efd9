"""`waybill.cli.status.at_work`: who holds the lock of a transfer's results."""

import fcntl
import os

import pytest

from waybill.cli.status import at_work
from waybill.results.layout import Layout


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    layout.lock.write_text("somebody")
    return layout


def test_the_holder_of_the_lock_is_named(layout):
    with layout.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert at_work(layout) == "somebody"
    assert at_work(layout) == ""


def test_a_holder_without_a_name(layout):
    layout.lock.write_text("")
    with layout.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert at_work(layout) == "which has no name in its lock"


def test_a_lock_that_cannot_be_read_just_now_is_nobodys(layout, monkeypatch):
    def pread(*_):
        raise BlockingIOError

    monkeypatch.setattr(os, "pread", pread)
    assert at_work(layout) == ""
