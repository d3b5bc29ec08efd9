"""Messages about folders, disks and files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.provocations.world import (
    Capsys,
    World,
    as_nobody,
    provokes,
    said,
    simple,
)
from support.proxy import (
    Page,
)
from support.transfers import transfer_of
from support.uploads import Uploads
from waybill.inventory.sides import of_download
from waybill.inventory.walk import Walk
from waybill.model.entries import LocalEntry
from waybill.model.errors import describe
from waybill.model.selection import Selection
from waybill.model.target_names import Limits, refusals
from waybill.move import diff
from waybill.report import write as report_pages
from waybill.results.layout import Layout
from waybill.stages import job
from waybill.system import hashing, locks

# Folders and disks


@provokes("no-folder")
def no_folder(w: World, _: Capsys) -> str:
    return said(w.walk)


@provokes("unlisted-folder")
def unlisted_folder(w: World, _: Capsys) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o311)
        with as_nobody():
            text = said(lambda: Walk(Path(folder), Selection()).tree())
        Path(folder).chmod(0o700)
    return text


@provokes("git-worktree")
def git_worktree(w: World, _: Capsys) -> str:
    (w.folder / ".git").mkdir()
    transfer = transfer_of(w.folder / "in", w.bucket, down=True)
    return said(lambda: of_download(transfer, Layout(transfer.results), lambda _known=(): []))


@provokes("system")
def system(w: World, _: Capsys) -> str:
    w.file("plain")
    return said(lambda: locks.lock(w.folder / "plain" / ".lock"))


@provokes("full")
def full(w: World, _: Capsys) -> str:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")
    return describe(caught.value, w.folder)


simple("memory", lambda w: str(job._told(MemoryError(), w.task())))


# Files that are read


@provokes("links")
def links(w: World, _: Capsys) -> str:
    (w.folder / "data").mkdir()
    (w.folder / "data" / "link").symlink_to("nowhere")
    return w.walk()


@provokes("unreadable")
def unreadable(w: World, _: Capsys) -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "a"
        file.write_bytes(b"x")
        file.chmod(0)
        entry = LocalEntry("a", 1, file.stat().st_mtime_ns, file.stat().st_ino)
        with as_nobody():
            return said(lambda: hashing.read_small(Path(folder), entry))


@provokes("changed-source")
def changed_source(w: World, _: Capsys) -> str:
    uploads = Uploads(w.folder, w.bucket)
    item = uploads.item("a", b"x")
    (uploads.folder / "a").write_bytes(b"other bytes")
    return "\n".join(uploads.fail(item).values())


@provokes("no-size")
def no_size(w: World, _: Capsys) -> str:
    seen = Path("/proc/self/status").stat()
    entry = LocalEntry("status", seen.st_size, seen.st_mtime_ns, seen.st_ino)
    w.patch.setattr(hashing, "_check", lambda *_: None)  # its time may be that of the look
    return said(lambda: hashing.read_small(Path("/proc/self"), entry))


@provokes("long-key")
def long_key(w: World, _: Capsys) -> str:
    w.file("data/a-name")
    return w.walk(prefix_bytes=1020)


@provokes("unhashed")
def unhashed(w: World, _: Capsys) -> str:
    nothing = SimpleNamespace(file=None, object=None, sha256="", source=SimpleNamespace(path="a"))
    return said(lambda: diff._same(nothing, lambda _: None))  # type: ignore[arg-type]


# Names and files of a destination


def names(*paths: str) -> str:
    limits = Limits(name_bytes=255, path_bytes=4095, folds_case=True)
    found = refusals(paths, root="/in", files=(), folders=(), limits=limits)
    return "\n".join(found.values())


simple("no-file-name", lambda _: names("../a"))
simple("long-name", lambda _: names("a" * 300))
simple("one-place", lambda _: names("a", "A"))


@provokes("link-in-destination")
def link_in_destination(w: World, _: Capsys) -> str:
    return w.download("sub/a", lambda folder: (folder / "sub").symlink_to(w.folder))


@provokes("changed-destination")
def changed_destination(w: World, _: Capsys) -> str:
    return w.download("a", lambda folder: (folder / "a").write_bytes(b"mine"))


@provokes("changed-object")
def changed_object(w: World, _: Capsys) -> str:
    return w.download("a", lambda _: w.client.delete_object(Bucket=w.bucket, Key="a"))


@provokes("unlisted-object")
def unlisted_object(w: World, _: Capsys) -> str:
    uploads = Uploads(w.folder, w.bucket)
    w.proxy.fault(Page(200, message="", headers={"ETag": '"0123"'}), op="PutObject")
    return "\n".join(uploads.fail(uploads.item("a", b"x")).values())


@provokes("other-download")
def other_download(w: World, _: Capsys) -> str:
    held = locks.lock_folder(w.folder)
    try:
        return said(lambda: locks.lock_folder(w.folder))
    finally:
        os.close(held or 0)


@provokes("report-packages")
def report_packages(w: World, _: Capsys) -> str:
    w.patch.setattr(report_pages, "_PACKAGES", {"no_such_module": "altair"})
    return said(report_pages.require)


@provokes("report-page")
def report_page(w: World, _: Capsys) -> str:
    w.patch.delenv(report_pages.VARIABLE, raising=False)
    w.file("results/report", b"in the place of the folder")
    return "\n".join(report_pages.after_run({"t": transfer_of(w.folder)}))
