"""The local side of an inventory, on real trees."""

import errno
import os
import socket
from pathlib import Path

import pytest

from waybill.inventory.walk import MAX_KEY_BYTES, Tree, Walk
from waybill.model.errors import WaybillError
from waybill.model.selection import Selection


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.bin", "a", "b/1.bin", "b.x", ".hidden/.dot", "b/c/deep"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def walk(root, *, include=("**",), exclude=(), **settings):
    return Walk(Path(root), Selection(include, exclude), **settings).tree()


def paths(found):
    return [entry.path for entry in found.entries]


def test_entries_are_sorted_as_s3_lists_them_and_dotfiles_are_files(tree):
    expected = [".hidden/.dot", "a", "b.x", "b/1.bin", "b/2.bin", "b/c/deep"]
    found = walk(tree)
    assert paths(found) == expected
    assert paths(found) == sorted(expected, key=str.encode)
    entry = found.entries[1]
    status = (tree / "a").stat()
    assert entry == ("a", 1, status.st_mtime_ns, status.st_ino)


def test_excluded_folders_are_not_entered(tree):
    (tree / "b" / "c" / "loop").symlink_to(tree)  # would be refused if it were seen
    assert walk(tree, exclude=["b/"]).refused == {}
    assert paths(walk(tree, include=["*.bin"])) == ["b/1.bin", "b/2.bin"]


def test_a_file_name_that_is_not_utf8_is_refused_by_name(tree):
    name = os.fsdecode(b"caf\xe9")
    (tree / name).write_text("x")
    found = walk(tree)
    assert list(found.refused) == [name]
    assert "UTF-8" in found.refused[name]
    assert len(found.entries) == 6


def test_a_key_that_is_too_long_is_refused_by_name(tree):
    deep = "/".join(["d" * 200] * 5)
    (tree / deep).mkdir(parents=True)
    (tree / deep / "f").write_text("x")
    length = len(f"{deep}/f")
    assert paths(walk(tree, prefix_bytes=MAX_KEY_BYTES - length))[-1] == f"{deep}/f"
    assert f"{deep}/f" in walk(tree, prefix_bytes=MAX_KEY_BYTES - length + 1).refused


def test_files_modified_too_recently_are_held_back(tree):
    now = (tree / "a").stat().st_mtime_ns
    for path in tree.rglob("*"):
        os.utime(path, ns=(now - 10**12, now - 10**12))
    os.utime(tree / "a")
    found = walk(tree, settle_before=now - 10**11)
    assert list(found.held) == ["a"]
    assert len(found.entries) == 5


def test_symbolic_links_follow_skip_error(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("x")
    (tree / "file").symlink_to(outside / "f")
    (tree / "folder").symlink_to(outside)
    (tree / "broken").symlink_to("nowhere")
    followed = walk(tree)
    assert {"file", "folder/f"} <= set(paths(followed))
    assert list(followed.refused) == ["broken"]
    assert set(walk(tree, symlinks="skip").skipped) == {"file", "folder", "broken"}
    assert set(walk(tree, symlinks="error").refused) == {"file", "folder", "broken"}


def test_a_loop_of_links_is_refused_and_ends(tree):
    (tree / "b" / "up").symlink_to(tree)
    found = walk(tree)
    assert list(found.refused) == ["b/up"]
    assert len(found.entries) == 6


def test_sockets_and_pipes_are_skipped_and_said(tree, monkeypatch):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tree)  # a socket's path is short
        server.bind("socket")
    found = walk(tree)
    assert set(found.skipped) == {"pipe", "socket"}


def test_folders_to_avoid_are_not_entered(tree):
    status = (tree / "b").stat()
    found = walk(tree, avoid=frozenset([(status.st_dev, status.st_ino)]))
    assert paths(found) == [".hidden/.dot", "a", "b.x"]


def test_a_missing_source_is_a_mistake_of_the_configuration(tree):
    for wrong in (tree / "none", tree / "a"):
        with pytest.raises(WaybillError) as caught:
            walk(wrong)
        assert caught.value.exit_code == 2
        assert str(wrong) in str(caught.value)


def test_an_entry_that_the_file_system_tells_nothing_about_is_refused_by_name(tree):
    class Entry:
        def is_symlink(self):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    found = Tree()
    Walk(tree, Selection())._visit(Entry(), "a", frozenset(), [], found)
    assert found.refused == {"a": "cannot stat: Input/output error"}
