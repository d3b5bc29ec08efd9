"""The file a download is written to: one writer, never under the name of the target too early."""

import ctypes
import errno
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from waybill.model.target_names import is_partial
from waybill.move.partial import Partial
from waybill.s3.parts import Part

SHA256 = hashlib.sha256(b"content").hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def write(target, data=b"content"):
    """An unfinished file as a killed process leaves it; its path."""
    with Partial(target) as partial:
        partial.write(0, data)
    return Path(partial.path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refuse(number):
    def call(*_args, **_more):
        raise OSError(number, os.strerror(number))

    return call


def test_it_becomes_the_target(target):
    with Partial(target) as partial:
        assert is_partial(Path(partial.path).name)
        assert Path(partial.path).parent == target.parent
        partial.write(3, b"tent")
        partial.write(0, b"con")
        partial.date(1_500_000_000_123_456_789)
        assert not target.exists()
        assert partial.become()
        assert partial.status.st_nlink == 1
    assert names(target.parent) == ["target"]
    assert target.read_bytes() == b"content"
    assert target.stat().st_mtime_ns == 1_500_000_000_123_456_789


def test_the_room_for_a_large_file_is_taken_at_once(target):
    size = 1 << 20
    with Partial(target) as partial:
        partial.clear(size)
        assert partial.length == size
        assert partial.status.st_blocks * 512 >= size
        partial.write(0, b"content")
        assert b"".join(partial.read(Part(1, 0, 9))) == b"content\0\0"


def test_no_room_is_found_before_anything_is_written(target):
    with Partial(target) as partial, pytest.raises(OSError, match=r"\[Errno") as found:
        partial.clear(1 << 62)
    assert found.value.errno in (errno.ENOSPC, errno.EFBIG)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR])
def test_a_file_system_that_cannot_take_room_writes_all_the_same(target, monkeypatch, number):
    class Library:
        calls = 0

        def fallocate64(self, *_):
            self.calls += 1
            ctypes.set_errno(number)
            return -1 if self.calls == 1 else 0

    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    with Partial(target) as partial:
        partial.clear(5)
        assert partial.length == 5
    assert library.calls == (2 if number == errno.EINTR else 1)


def test_what_stands_there_is_never_overwritten_by_become(target, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    for make in (
        lambda: target.write_bytes(b"theirs"),
        lambda: target.symlink_to("nowhere"),
        lambda: target.symlink_to("elsewhere"),
    ):
        make()
        before = target.lstat()
        with Partial(target) as partial:
            partial.write(0, b"content")
            assert not partial.become()
            partial.discard()
        assert target.lstat().st_ino == before.st_ino
        target.unlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert names(tmp_path) == ["elsewhere"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS])
def test_a_file_system_without_hard_links(target, monkeypatch, number):
    monkeypatch.setattr(os, "link", refuse(number))
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert partial.become()
    with Partial(target) as partial:
        partial.write(0, b"other")
        assert not partial.become()
        partial.discard()
    target.unlink()
    target.symlink_to("nowhere")
    with Partial(target) as partial:
        assert not partial.become()
        partial.discard()
    assert names(target.parent) == ["target"]


def test_a_file_system_without_locks(target, monkeypatch):
    monkeypatch.setattr("fcntl.flock", refuse(errno.ENOLCK))
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert partial.become()
    assert target.read_bytes() == b"content"


def test_one_writer_at_a_time(target):
    with Partial(target), pytest.raises(BlockingIOError), Partial(target):
        pass
    descriptors = names(Path("/proc/self/fd"))
    with Partial(target) as partial:
        for _ in range(5):
            with pytest.raises(BlockingIOError), Partial(target):
                pass
        partial.discard()
    assert len(names(Path("/proc/self/fd"))) == len(descriptors)


def test_the_lock_goes_with_its_process(target):
    code = """if True:
        import sys, time, pathlib
        from waybill.move.partial import Partial
        with Partial(pathlib.Path(sys.argv[1])) as partial:
            partial.write(0, b"half")
            print("open", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", code, target]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(BlockingIOError), Partial(target):
            pass
        other.kill()
    with Partial(target) as partial:
        assert partial.length == 4
        assert b"".join(partial.read(Part(1, 1, 3))) == b"alf"


def test_what_was_finished_by_then_is_not_written_again(target):
    """A kill right between the two names of a finished file leaves both."""
    path = write(target)
    os.link(path, target)
    with Partial(target) as partial:
        assert partial.length == 0
        partial.write(0, b"other!!")
        assert target.read_bytes() == b"content"
        partial.discard()
    assert names(target.parent) == ["target"]


def test_one_that_was_finished_while_it_was_opened(target, monkeypatch):
    """Between opening and locking, another process may give the file its name."""
    path = write(target)
    real = os.open
    opened = []

    def slow(name, *args, **more):
        descriptor = real(name, *args, **more)
        if name == path.name:
            if not opened:
                path.rename(target)
            opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(os, "open", slow)
    with Partial(target) as partial:
        partial.write(0, b"other!!")
    assert len(opened) == 2
    assert target.read_bytes() == b"content"


def test_a_link_in_its_place_is_not_followed(target, tmp_path):
    (tmp_path / "precious").write_bytes(b"content")
    Path(Partial(target).path).symlink_to("precious")
    with pytest.raises(OSError, match="symbolic links"), Partial(target):
        pass
    assert (tmp_path / "precious").read_bytes() == b"content"


def test_what_a_killed_process_left_is_not_needed_when_the_target_is(target):
    for leave in (write, lambda target: os.link(write(target), target)):
        leave(target)
        Partial(target).drop_leftover()
        assert "target" not in names(target.parent) or target.read_bytes() == b"content"
        assert not [name for name in names(target.parent) if is_partial(name)]
    Partial(target).drop_leftover()  # there is nothing
    assert names(target.parent) == ["target"]
    with Partial(target) as partial:
        partial.write(0, b"being written")
        Partial(target).drop_leftover()
        assert Path(partial.path).read_bytes() == b"being written"


def test_a_target_is_replaced_with_its_permissions(target):
    target.write_bytes(b"before")
    target.chmod(0o640)
    before = target.stat()
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert partial.replace(before.st_mtime_ns, before.st_ino)
        assert partial.status.st_ino == target.stat().st_ino != before.st_ino
    assert target.read_bytes() == b"content"
    assert target.stat().st_mode & 0o7777 == 0o640
    assert names(target.parent) == ["target"]


def test_a_new_file_has_the_permissions_of_the_umask(target):
    before = os.umask(0o027)
    try:
        with Partial(target) as partial:
            partial.become()
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("change", ["date", "other", "appeared"])
def test_a_target_that_changed_meanwhile_is_not_replaced(target, change):
    target.write_bytes(b"before")
    seen = target.stat()
    if change == "date":
        os.utime(target, ns=(1, 1))
    elif change == "other":
        (target.parent / "new").write_bytes(b"theirs")
        os.utime(target.parent / "new", ns=(seen.st_atime_ns, seen.st_mtime_ns))
        (target.parent / "new").replace(target)
    known = (0, 0) if change == "appeared" else (seen.st_mtime_ns, seen.st_ino)
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert not partial.replace(*known)
        partial.discard()
    assert target.read_bytes() in (b"before", b"theirs")
    assert names(target.parent) == ["target"]


def test_a_target_that_is_gone_is_written_anew(target):
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert partial.replace(1, 1)
    assert target.read_bytes() == b"content"


def test_the_same_bytes_need_no_second_file(target):
    target.write_bytes(b"content")
    os.utime(target, ns=(5, 6))
    with Partial(target) as partial:
        partial.write(0, b"content")
        assert partial.is_same(SHA256)
        assert partial.status.st_mtime_ns == 6
    assert names(target.parent) == ["target"]
    with Partial(target) as partial:
        assert not partial.is_same(hashlib.sha256(b"Content").hexdigest())
        partial.discard()
    assert target.read_bytes() == b"content"


def test_a_date_no_file_can_have(target):
    with Partial(target) as partial:
        for when in (10**30, -(10**30), 99_999_999_999 * 10**9, -(10**18)):
            partial.date(when)
        assert partial.become()


def test_it_begins_anew(target):
    write(target, b"a long story")
    with Partial(target) as partial:
        partial.clear(5)
        assert Path(partial.path).read_bytes() == bytes(5)
        partial.clear()
        assert partial.length == 0
        with pytest.raises(OSError, match="shorter"):
            list(partial.read(Part(1, 0, 1)))


def test_many_threads_write_one_file(target):
    data = os.urandom(1 << 20)
    step = 1 << 16
    with Partial(target) as partial:
        partial.clear(len(data))
        threads = [
            threading.Thread(target=partial.write, args=(at, data[at : at + step]))
            for at in range(0, len(data), step)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert b"".join(partial.read(Part(1, 7, len(data) - 9))) == data[7:-2]
        assert partial.become()
    assert target.read_bytes() == data
