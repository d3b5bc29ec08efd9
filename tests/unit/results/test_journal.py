"""The journal: what was finished survives any kill, and a torn line harms nobody."""

import os

from waybill.results import journal
from waybill.results.journal import Journal, OpenUpload
from waybill.results.marker import Proof

PROOF = Proof("a\nb", "p/a\nb", 5, 7, "00", "etag", "", "2026-01-01T00:00:00.000Z")
UPLOAD = OpenUpload("big", "id1", 100, "00", 16, "p/big")


def test_records_come_back(tmp_path):
    path = tmp_path / "deep" / "j.jsonl"
    with Journal(path, "run1") as open_journal:
        open_journal.done(PROOF)
        open_journal.upload(UPLOAD)
        open_journal.part("id1", 1, "e1", "h1")
        open_journal.part("id1", 2, "e2", "h2")
    record = journal.read([path])
    assert record.done == {"a\nb": ("run1", PROOF)}
    (upload,) = record.open_uploads("big")
    assert upload.parts == {1: ("e1", "h1"), 2: ("e2", "h2")}


def test_a_closed_upload_is_not_resumed(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, "r") as open_journal:
        open_journal.upload(UPLOAD)
        open_journal.closed("id1")
    assert journal.read([path]).open_uploads("big") == []


def test_a_torn_line_loses_only_itself(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, "r1") as open_journal:
        open_journal.done(PROOF)
        open_journal.done(PROOF._replace(path="torn"))
    os.truncate(path, path.stat().st_size - 9)
    with Journal(path, "r2") as open_journal:
        open_journal.done(PROOF._replace(path="next"))
    assert set(journal.read([path]).done) == {"a\nb", "next"}


def test_every_cut_of_a_journal_can_be_read(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, "r1") as open_journal:
        open_journal.upload(UPLOAD)
        open_journal.part("id1", 1, "e1", "h1")
        open_journal.done(PROOF)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        record = journal.read([path])
        assert len(record.done) <= 1
    assert journal.read([tmp_path / "none"]).done == {}


def test_later_journals_win(tmp_path):
    for name, etag in (("1", "old"), ("2", "new")):
        with Journal(tmp_path / name, name) as open_journal:
            open_journal.done(PROOF._replace(etag=etag))
    record = journal.read([tmp_path / "1", tmp_path / "2"])
    assert record.done["a\nb"] == ("2", PROOF._replace(etag="new"))
