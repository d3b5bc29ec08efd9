"""Compares a folder with a list of files, without S3."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from waybill.inventory.walk import Walk
from waybill.model.difference import FAILED, ONLY_THERE
from waybill.model.entries import LocalEntry
from waybill.model.errors import EntryError, WaybillError
from waybill.model.selection import Selection
from waybill.system.hashing import sha256_of
from waybill.system.root import LinkError, Root
from waybill.verify import lists
from waybill.verify.count import Count
from waybill.verify.judge import DESTINATION, Finding, Look, hold_listed, judge_content


def hold_folder(
    file: Path,
    folder: Path,
    count: Count,
    dataset: str,
    *,
    depth: str,
    selection: Selection,
    symlinks: str = "follow",
    avoid: frozenset[tuple[int, int]] = frozenset(),
) -> list[Look]:
    """Compare ``folder`` with the list in ``file``. Returns the entries that need a closer look.

    Files that are not listed are noted, unless ``selection`` leaves them out or they are below a
    folder in ``avoid`` (device, inode). ``symlinks`` is ``follow``, ``skip`` or ``error``. Raises
    WaybillError when the list cannot be read or the folder does not exist.
    """
    entries = lists.read(file)
    count.now.origin, count.now.against = str(file), True
    if not entries:
        return []
    if not folder.is_dir():
        raise WaybillError(f"{folder}: no such folder; {file} cannot be compared with it")
    tree = Walk(folder, selection, symlinks=symlinks, avoid=avoid).tree()
    root = Root(folder, symlinks)
    local = {entry.path: entry for entry in tree.entries}
    looks = []
    for expected in entries:
        path = _relative(expected.path, folder)
        here = local.get(path) or local_now(root, path)
        found, look = hold_listed(expected._replace(path=path), here, depth=depth)
        size = here.size if isinstance(here, LocalEntry) else expected.size or 0
        if look := count.add(dataset, path, size, found, look):
            looks.append(look)
    for entry in tree.entries:
        if not count.has(dataset, entry.path) and not _is_same(folder / entry.path, file):
            reason = f"only in the folder, not in {file.name}"
            count.decide(
                dataset, [Finding(ONLY_THERE, DESTINATION, entry.path, entry.size, reason)]
            )
    return looks


def look_at(folder: Path, look: Look) -> list[Finding]:
    """Hash one file of a list. Returns the findings about it."""
    try:
        local: str | Finding = sha256_of(folder, look.entry)
    except EntryError as error:
        local = Finding(FAILED, DESTINATION, look.path, look.size, str(error))
    return judge_content(look, local, None, direction="download")


def _relative(path: str, folder: Path) -> str:
    """A path of a list, which may be absolute, relative to the folder."""
    root = os.fspath(folder.absolute()) + "/"
    return path.removeprefix(root) if path.startswith(root) else path


def _is_same(one: Path, other: Path) -> bool:
    return one.name == other.name and one.samefile(other)


def local_now(root: Root, path: str) -> LocalEntry | EntryError | None:
    """The file at ``path`` below ``root`` as it is now; None when there is none, an error when it
    cannot be looked at. A path that ends in a slash is that of a folder."""
    if path.startswith("/") or ".." in path.split("/"):
        return EntryError(path, "its path leads out of the folder")
    try:
        status = root.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except LinkError as error:
        return EntryError(path, f"{error.filename} is a symbolic link, which is not followed")
    except OSError as error:
        return EntryError(path, f"cannot be looked at: {error.strerror}")
    except ValueError:  # a NUL
        return EntryError(path, "no file can have this name")
    if path.endswith("/"):
        return LocalEntry(path, 0, status.st_mtime_ns, 0) if stat.S_ISDIR(status.st_mode) else None
    if not stat.S_ISREG(status.st_mode):
        return EntryError(path, "is no file any more")
    return LocalEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)
