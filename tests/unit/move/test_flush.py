"""Files are put on disk in groups, and each is told what became of it."""

import errno
import os

from waybill.move import flush
from waybill.move.flush import GROUP, Sync
from waybill.move.partial import Partial


class Work:
    """Does what is submitted when it is told to, and notes the files in their order."""

    def __init__(self):
        self.waiting, self.ended = [], []
        self.sync = Sync(self.waiting.append)

    def add(self, folder, name):
        file = Partial(folder / name).__enter__()
        file.write(0, name.encode())
        self.sync.add(file, lambda error: self.ended.append((name, error)))

    def do(self):
        while self.waiting:
            self.waiting.pop(0)()


def test_a_group_goes_when_it_is_full_and_when_it_is_told_to(tmp_path):
    work = Work()
    for number in range(GROUP + 3):
        work.add(tmp_path, f"{number:03}")
    assert (len(work.waiting), work.sync.waiting) == (1, 3)
    work.sync.flush()
    work.sync.flush()  # of nothing
    assert (len(work.waiting), work.sync.waiting) == (2, 0)
    assert work.ended == []
    work.do()
    assert work.ended == [(f"{number:03}", None) for number in range(GROUP + 3)]


def test_a_group_does_not_wait_for_ever(tmp_path, monkeypatch):
    work = Work()
    assert not work.sync.is_due
    work.add(tmp_path, "first")
    assert not work.sync.is_due
    monkeypatch.setattr(flush, "GROUP_SECONDS", 0)
    assert work.sync.is_due
    work.sync.flush()
    assert not work.sync.is_due


def test_one_that_cannot_be_put_on_disk_does_not_stop_the_others(tmp_path, monkeypatch):
    work = Work()
    for name in "abc":
        work.add(tmp_path, name)
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    work.sync.flush()
    work.do()
    assert [name for name, _ in work.ended] == ["a", "b", "c"]
    assert [getattr(error, "errno", None) for _, error in work.ended] == [None, errno.EIO, None]
