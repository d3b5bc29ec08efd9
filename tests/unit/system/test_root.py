"""A folder and what is below it, reached without following a link."""

import gc
import os
import threading
from pathlib import Path

import pytest

from waybill.system.root import KEEP, LinkError, Root


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def read(root, path):
    descriptor = root.open(path)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "real/sub").mkdir(parents=True)
    (tmp_path / "real/sub/file").write_bytes(b"inside")
    (tmp_path / "real/link").symlink_to("sub")
    (tmp_path / "real/sub/file link").symlink_to("file")
    (tmp_path / "root").symlink_to("real")
    return tmp_path / "root"


def test_links_below_the_root_are_followed_or_named(folder):
    paths = {"link/file": "link", "sub/file link": "sub/file link"}
    follow, error = Root(folder), Root(folder, "error")
    for path, link in paths.items():
        assert read(follow, path) == b"inside"
        assert follow.stat(path).st_size == 6
        for ask in (error.open, error.stat):
            with pytest.raises(LinkError) as caught:
                ask(path)
            assert caught.value.filename == link
    for root in (follow, error):
        assert read(root, "sub/file") == b"inside"
        with pytest.raises(LinkError):  # for writing
            root.folder("link/deeper", make=True)
    assert {path.name for path in (folder / "sub").iterdir()} == {"file", "file link"}


def test_what_is_missing_is_made_when_it_is_asked_for(tmp_path):
    root = Root(tmp_path / "not/there", "error")
    for path in ("a/b", ""):
        with pytest.raises(FileNotFoundError):
            root.folder(path)
    made = root.folder("a/b", make=True)
    status = (tmp_path / "not/there/a/b").stat()
    assert made.identity == (status.st_dev, status.st_ino)
    assert root.folder("a/b") is made
    (tmp_path / "not/there/file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="not/there/file"):
        root.folder("file/sub", make=True)


def test_no_path_leads_out(folder):
    for root in (Root(folder, "error"), Root(folder)):
        with pytest.raises(OSError, match="leads out"):
            root.folder("sub/../..", make=True)


def test_few_folders_stay_open_and_those_in_use_stay(tmp_path):
    gc.collect()  # what earlier tests left open would be closed in between
    before = descriptors()
    root = Root(tmp_path)
    first = root.folder("0/deep", make=True)
    for number in range(3 * KEEP):
        root.folder(f"{number}/deep", make=True)
        assert descriptors() <= before + KEEP + 2
    assert os.fstat(first.fd).st_ino == (tmp_path / "0/deep").stat().st_ino
    deep = "/".join("d" * 300)  # more levels than may be open
    assert root.folder(deep, make=True).identity[1] == (tmp_path / deep).stat().st_ino
    del root, first
    assert descriptors() == before


def test_threads_may_make_the_same_folders(tmp_path):
    root = Root(tmp_path, "error")
    found = []

    def make():
        found.extend(root.folder(f"{n % 7}/{n}", make=True).identity for n in range(200))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800
    assert len(set(found)) == 200
