"""Two copies of one job, and a new run beside the jobs of a killed one."""

import threading

import pytest

from waybill.results import journal
from waybill.results.journal import Journal
from waybill.results.marker import Proof

PROOF = Proof("a", "p/a", 5, 7, "00", "etag", "", "2026-01-01T00:00:00.000Z")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(journal, "POLL_SECONDS", 0.01)


def test_a_second_copy_waits_for_the_first_and_finds_what_is_done(tmp_path):
    path = tmp_path / "j.jsonl"
    found = []

    def second():
        with Journal(path, "r"):
            found.append(journal.read([path]).done)

    with Journal(path, "r") as first:
        copy = threading.Thread(target=second)
        copy.start()
        copy.join(0.2)
        assert found == []
        first.done(PROOF)
    copy.join(10)
    assert found == [{"a": ("r", PROOF)}]


def test_a_silent_copy_is_not_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(journal, "SILENT_SECONDS", 0.05)
    with Journal(tmp_path / "j.jsonl", "r"), Journal(tmp_path / "j.jsonl", "r") as second:
        second.done(PROOF)
    assert "silent" in caplog.text


def test_a_file_system_without_locks_is_enough(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with Journal(tmp_path / "j.jsonl", "r") as one:
        one.done(PROOF)
    assert set(journal.read([tmp_path / "j.jsonl"]).done) == {"a"}


def test_a_record_after_the_listing_belongs_to_the_new_run(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, "old") as of_old_job:
        of_old_job.done(PROOF)
        journal.mark_listing(path, "new")
        of_old_job.done(PROOF._replace(path="b"))
    runs = {name: run for name, (run, _) in journal.read([path], "new").done.items()}
    assert runs == {"a": "old", "b": "new"}


def test_a_journal_the_inventory_did_not_find_is_later_than_its_listing(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, "old") as of_old_job:
        of_old_job.done(PROOF)
    assert journal.read([path], "new").done["a"][0] == "new"
    assert journal.read([path]).done["a"][0] == "old"
