"""Opens files below a folder through open folders: a symbolic link that somebody puts in the way at
any moment is refused, not followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

KEEP = 64  # open folders; a process may have 1,024 files open

# To open a folder and pass through it. With O_PATH this needs no permission to list the folder.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class LinkError(OSError):
    """A symbolic link where none is followed; ``filename`` is its path below the root."""


class Folder:
    """An open folder. ``fd`` is its descriptor, which is closed when no reference to this object is
    left. ``identity`` is its device and inode."""

    __slots__ = ("fd", "identity")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        status = os.fstat(fd)
        self.identity = status.st_dev, status.st_ino

    def __del__(self, close=os.close) -> None:
        close(self.fd)

    @classmethod
    def at(cls, path: str) -> Folder:
        """The folder at a path, whose links are followed."""
        return cls(os.open(path, _FOLDER))

    def readable(self) -> int:
        """A descriptor with which to list the folder, or to put its names on disk. The caller
        closes it."""
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)


class Root:
    """The folder ``path``, which may be a link, and all files and folders below it. Safe to use
    from several threads.

    With ``symlinks = "follow"`` links below it are followed when something is read; with ``skip``
    or ``error`` they raise LinkError. ``folder`` and ``lstat``, which are for writing, never
    follow one. Paths are relative to the root; errors are those of the file system, with the
    whole path.
    """

    def __init__(self, path: str | Path, symlinks: str = "follow") -> None:
        self.path = os.fspath(path)
        self._follows = symlinks == "follow"
        self._open: dict[str, Folder] = {}
        self._lock = Lock()

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of the file at ``path``."""
        flags |= os.O_CLOEXEC
        if self._follows:
            return os.open(f"{self.path}/{path}", flags)
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        try:
            return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder.fd)
        except OSError as error:
            raise self._told(error, folder, name, path) from None

    def stat(self, path: str) -> os.stat_result:
        """The status of the file or folder at ``path``."""
        if self._follows:
            return os.stat(f"{self.path}/{path}")
        status = self.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            raise _link(path)
        return status

    def lstat(self, path: str) -> os.stat_result:
        """The status of the file, folder or link with this name. A link is not followed."""
        above, _, name = path.rstrip("/").rpartition("/")
        folder = self.folder(above)
        try:
            return os.stat(name or ".", dir_fd=folder.fd, follow_symlinks=False)
        except OSError as error:
            raise self._told(error, folder, name, path) from None

    @contextmanager
    def scan(self, path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        """The entries of the folder at ``path``."""
        if self._follows:
            with os.scandir(f"{self.path}/{path}") as scan:
                yield scan
            return
        descriptor = self.folder(path.rstrip("/")).readable()
        try:
            with os.scandir(descriptor) as scan:
                yield scan
        finally:
            os.close(descriptor)

    def folder(self, path: str, *, make: bool = False) -> Folder:
        """The open folder at ``path``; ``""`` is the root. ``make`` makes missing folders."""
        if folder := self._open.get(path):
            return folder
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise OSError(errno.EXDEV, "leads out of the folder", f"{self.path}/{path}")
        deep = len(parts)
        while deep and not (folder := self._open.get("/".join(parts[:deep]))):
            deep -= 1
        if folder is None and not (folder := self._open.get("")):
            folder = self._hold("", self._top(make))
        for end in range(deep, len(parts)):
            at = "/".join(parts[: end + 1])
            folder = self._hold(at, self._step(folder, parts[end], at, make))
        return folder

    def _top(self, make: bool) -> Folder:
        try:
            return Folder.at(self.path)
        except FileNotFoundError:
            if not make:
                raise
        os.makedirs(self.path, exist_ok=True)
        return Folder.at(self.path)

    def _step(self, above: Folder, name: str, path: str, make: bool) -> Folder:
        flags = _FOLDER | os.O_NOFOLLOW
        try:
            try:
                return Folder(os.open(name, flags, dir_fd=above.fd))
            except FileNotFoundError:
                if not make:
                    raise
            with suppress(FileExistsError):  # another thread or run was faster
                os.mkdir(name, dir_fd=above.fd)
            return Folder(os.open(name, flags, dir_fd=above.fd))
        except OSError as error:
            raise self._told(error, above, name, path) from None

    def _hold(self, path: str, folder: Folder) -> Folder:
        with self._lock:
            while len(self._open) >= KEEP:
                del self._open[next(iter(self._open))]
            self._open[path] = folder
        return folder

    def _told(self, error: OSError, folder: Folder, name: str, path: str) -> OSError:
        """The error with the whole path; a LinkError when the path is a symbolic link."""
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            with suppress(OSError):
                status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    return _link(path)
        return OSError(error.errno, error.strerror, f"{self.path}/{path}")


def _link(path: str) -> LinkError:
    return LinkError(errno.ELOOP, "is a symbolic link", path)
