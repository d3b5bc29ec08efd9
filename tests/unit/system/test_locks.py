"""Who may lock, and what happens where nothing can be locked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from waybill.model.errors import WaybillError
from waybill.system.files import drop_leftover, write_atomic
from waybill.system.locks import Lock, holder, lock, lock_folder, try_lock


def test_the_second_is_told_who_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "results" / ".lock"
    first = lock(path)
    assert holder(first) == f"process {os.getpid()} on {os.uname().nodename}"
    said = rf"another run is at work here \(process {os.getpid()} "
    with pytest.raises(WaybillError, match=said):
        lock(path)
    os.close(first)
    os.close(lock(path))


def test_readers_share(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    one, other = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    assert try_lock(one, shared=True) is try_lock(other, shared=True) is Lock.HELD
    assert try_lock(one) is Lock.BUSY


def test_a_file_system_without_locks_is_said_once_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    os.close(lock(tmp_path / "results" / ".lock"))
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'results'}: the file system has no locks; see to it that")
    assert lock_folder(tmp_path / "folder") is None
    write_atomic(tmp_path / "file", b"whole")
    assert not drop_leftover(tmp_path / "file", older_than=0)
    assert drop_leftover(tmp_path / "file", older_than=2**40)
