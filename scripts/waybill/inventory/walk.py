"""Walks the folder of a dataset: lists its files, and reads none of them."""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from waybill.model.entries import LocalEntry
from waybill.model.errors import EXIT_CONFIG, FolderError
from waybill.model.selection import Selection
from waybill.model.target_names import is_partial
from waybill.system.root import LinkError, Root

MAX_KEY_BYTES = 1024  # S3 API: object key names, "Creating object key names"

_MEND_LINK = 'mend or exclude it, or set symlinks = "skip"'

# Bytes that are not UTF-8, as Python decodes them in names.
_SURROGATE = re.compile("[\udc80-\udcff]")


@dataclass(slots=True)
class Tree:
    """What a walk found: ``entries`` sorted by path, and the paths that were left out.

    ``held``, ``skipped`` and ``refused`` map a path to a reason; only ``refused`` are failures.
    ``folders`` are the paths of the folders that were entered. ``unmatched`` counts the files in
    them that no pattern selects.
    """

    entries: list[LocalEntry] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unmatched: int = 0


@dataclass(slots=True)
class Walk:
    """A walk of one dataset's folder.

    ``symlinks`` is ``follow``, ``skip`` or ``error``. Files modified after ``settle_before`` (ns
    since the epoch) are held back. ``prefix_bytes`` is the length of the key prefix. ``avoid`` are
    folders (device, inode) that are never entered, such as the results folder when it lies inside
    the source. ``side`` is the word for the folder in messages.
    """

    root: Path
    selection: Selection
    side: str = "source"
    symlinks: str = "follow"
    settle_before: int | None = None
    prefix_bytes: int = 0
    avoid: frozenset[tuple[int, int]] = frozenset()

    def tree(self) -> Tree:
        """Walk the folder. Raises FolderError when it is missing or cannot be listed."""
        try:
            top = self.root.stat()
        except FileNotFoundError:
            raise FolderError(
                f"{self.root}: the {self.side} folder does not exist; check `{self.side}`",
                exit_code=EXIT_CONFIG,
            ) from None
        if not stat.S_ISDIR(top.st_mode):
            raise FolderError(
                f"{self.root}: the {self.side} is not a folder; check `{self.side}`",
                exit_code=EXIT_CONFIG,
            )
        found = Tree()
        # Each folder to be listed: its path relative to the root with a trailing slash, and the
        # (device, inode) of the folders above it, which a symbolic link may lead back to.
        folders = [("", frozenset([(top.st_dev, top.st_ino)]))]
        root = Root(self.root, self.symlinks)
        while folders:
            relative, above = folders.pop()
            try:
                with root.scan(relative) as scan:
                    for item in scan:
                        self._visit(item, relative + item.name, above, folders, found)
            except LinkError:  # it was a folder a moment ago
                self._leave_link(relative[:-1], found)
            except OSError as error:
                if not relative:
                    raise FolderError(
                        f"{self.root}: cannot list the {self.side} folder: {error.strerror};"
                        " give read permission and run again"
                    ) from None
                advice = "give read permission or exclude it, and run again"
                if isinstance(error, FileNotFoundError):
                    advice = "it went away while it was looked at; run again"
                found.refused[relative] = f"cannot list the folder: {error.strerror}; {advice}"
        found.entries.sort()
        return found

    def _visit(self, item: os.DirEntry[str], path: str, above, folders, found: Tree) -> None:
        link: bool | None = None
        try:
            link = item.is_symlink()
            status = item.stat(follow_symlinks=link and self.symlinks == "follow")
        except OSError as error:
            self._leave_unseen(item, path, link, error, found)
            return
        if stat.S_ISLNK(status.st_mode):
            self._leave_link(path, found)
        elif stat.S_ISDIR(status.st_mode):
            self._enter(path, status, above, folders, found)
        elif self.selection.matches(path):
            self._add(path, status, found)
        else:
            found.unmatched += 1

    def _leave_unseen(
        self, item: os.DirEntry[str], path: str, link: bool | None, error: OSError, found: Tree
    ) -> None:
        """Leave out an entry that cannot be looked at. ``link`` is None where the listing of the
        folder does not tell what it is. It may be a folder that holds selected files, unless the
        listing tells that it is a file."""
        is_gone = isinstance(error, FileNotFoundError)
        if is_gone and not link:
            return  # it went away during the walk, and was never part of this inventory
        is_file = link is False and item.is_file(follow_symlinks=False)
        may_be_folder = not (is_gone or is_file)
        if self.selection.matches(path) or (
            may_be_folder and not self.selection.excludes_folder(path)
        ):
            found.refused[path] = (
                f"broken symbolic link: {error.strerror}; {_MEND_LINK}"
                if link
                else f"cannot stat: {error.strerror}"
            )

    def _leave_link(self, path: str, found: Tree) -> None:
        if self.selection.matches(path):
            if self.symlinks == "skip":
                found.skipped[path] = "symbolic link"
            else:
                found.refused[path] = f'symbolic link (symlinks = "{self.symlinks}")'

    def _enter(self, path: str, status: os.stat_result, above, folders, found: Tree) -> None:
        identity = (status.st_dev, status.st_ino)
        if identity in self.avoid or self.selection.excludes_folder(path):
            return
        if identity in above:
            found.refused[path] = f"symbolic link to a folder above itself; {_MEND_LINK}"
            return
        found.folders.add(path)
        folders.append((path + "/", above | {identity}))

    def _add(self, path: str, status: os.stat_result, found: Tree) -> None:
        if not stat.S_ISREG(status.st_mode):
            found.skipped[path] = "not a regular file"
        elif _SURROGATE.search(path):
            found.refused[path] = "the name is not UTF-8, so no key can hold it; rename the file"
        elif (length := self.prefix_bytes + len(path.encode())) > MAX_KEY_BYTES:
            found.refused[path] = f"the key would have {length} bytes, S3 allows {MAX_KEY_BYTES}"
        elif is_partial(path.rpartition("/")[2]):
            found.held[path] = "an unfinished download"
        elif self.settle_before is not None and _is_young(status, self.settle_before):
            found.held[path] = "modified too recently (settle)"
        else:
            found.entries.append(
                LocalEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)
            )


def _is_young(status: os.stat_result, before: int) -> bool:
    """Whether a file was modified after ``before`` (ns since the epoch). A file that is dated in
    the future would never settle; then the time counts at which the file system saw a change."""
    if status.st_mtime_ns <= before:
        return False
    return status.st_mtime_ns <= time.time_ns() or status.st_ctime_ns > before
