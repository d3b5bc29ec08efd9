"""The partial file: a download is written into it, and it gets the name of the file at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from waybill.model.target_names import partial_name
from waybill.s3.parts import Part
from waybill.system.files import UNKNOWN_CALL, allocate, sync_file
from waybill.system.hashing import BLOCK_BYTES
from waybill.system.locks import Lock, try_lock
from waybill.system.root import Folder

# A file system without owners and times of its own (CIFS, a squashed NFS) refuses them so.
_REFUSED = UNKNOWN_CALL | {errno.EPERM, errno.EACCES}


class Partial:
    """An unfinished file beside ``target``, locked by this process.

    Both names are used below ``folder``, the open folder of the target. So it does no harm when the
    path to that folder changes, and no symbolic link with one of the names is followed. The bytes
    of an earlier process are kept, to be resumed (``length``). Raises OSError, and BlockingIOError
    when another process writes the file.

    A file system that refuses the time, the permissions or to sync keeps the bytes all the same.
    ``refused`` has the name of each call that was refused, with the reason.
    """

    def __init__(self, target: str | Path, folder: Folder | None = None) -> None:
        self.target = os.fspath(target)
        above, slash, self._target = self.target.rpartition("/")
        self._name = partial_name(self._target)
        self.path = f"{above}{slash}{self._name}"
        self._folder = folder or Folder.at(above + slash or ".")
        self.refused: dict[str, str] = {}

    def __enter__(self) -> Partial:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            try:
                self._file = os.open(self._name, flags, 0o666, dir_fd=self._folder.fd)
            except BaseException:
                del self._folder
                raise
            try:
                if try_lock(self._file) is Lock.BUSY:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), self.path)
                if self._is_ours():
                    break
            except BaseException:
                self.close()
                raise
            os.close(self._file)
        return self

    def _is_ours(self) -> bool:
        """Whether the open file has the partial name and no other. Another process may have given
        it the name of the target; such a file must not be written again. If that process was killed
        before it removed the partial name, the name is removed here."""
        mine = os.fstat(self._file)
        try:
            there = self._lstat(self._name)
        except FileNotFoundError:
            return False
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            return False
        if mine.st_nlink > 1:
            self._unlink()
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, as ``__exit__`` does."""
        os.close(self._file)
        del self._folder

    @property
    def length(self) -> int:
        """Its size in bytes."""
        return self.status.st_size

    @property
    def status(self) -> os.stat_result:
        """The status of the file, also after it got the name of the target."""
        return os.fstat(self._file)

    def clear(self, size: int = 0) -> None:
        """Empty the file, and give it ``size`` bytes that are to be written. Their room on the disk
        is taken at once, so that a full disk is found before anything is fetched."""
        if self.length:
            os.ftruncate(self._file, 0)
        if size:
            os.ftruncate(self._file, size)
            allocate(self._file, size)

    def write(self, start: int, block: bytes) -> None:
        """Put a block where it belongs; safe to use from several threads."""
        view = memoryview(block)
        while view:
            count = os.pwrite(self._file, view, start)
            start, view = start + count, view[count:]

    def read(self, part: Part) -> Iterator[bytes]:
        """The bytes of a part, in blocks."""
        at, end = part.start, part.start + part.length
        while at < end:
            block = os.pread(self._file, min(BLOCK_BYTES, end - at), at)
            if not block:
                raise OSError("became shorter while it was written")
            at += len(block)
            yield block

    def date(self, mtime_ns: int) -> None:
        """Give it its modification time."""
        with suppress(OverflowError):  # a time that no file can have
            self._unless_refused("utime", os.utime, self._file, ns=(time.time_ns(), mtime_ns))

    def begin_sync(self) -> None:
        """Ask the system to begin writing the file to disk, without waiting."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            with suppress(OSError):  # it is an advice
                os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Wait until the file is on disk."""
        if error := sync_file(self._file):
            self.refused["fsync"] = os.strerror(error.errno or 0)

    def become(self) -> bool:
        """Give the file the name of the target; False when that name is taken."""
        fd = self._folder.fd
        try:
            os.link(self._name, self._target, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            with suppress(FileNotFoundError):
                self._lstat(self._target)
                return False
            self._rename()
        else:
            with suppress(FileNotFoundError):
                self._unlink()
        return True

    def replace(self, mtime_ns: int, inode: int, *, follow: bool = False) -> bool:
        """Replace the target and keep its permissions. Returns False when the target does not have
        this mtime and inode. With ``follow`` a link has the mtime and inode of the file it leads
        to; the link itself is replaced."""
        try:
            status = os.stat(self._target, dir_fd=self._folder.fd, follow_symlinks=follow)
        except FileNotFoundError:
            return self.become()
        if (status.st_mtime_ns, status.st_ino) != (mtime_ns, inode):
            return False
        mode = status.st_mode & 0o7777
        if stat.S_IMODE(self.status.st_mode) != mode:
            self._unless_refused("fchmod", os.fchmod, self._file, mode)
        self._rename()
        return True

    def is_same(self, sha256: str) -> bool:
        """Whether the target is a file with this SHA-256 (hex). If so, the partial file is removed,
        and ``status`` is that of the target. A job leaves such a target when it is killed before it
        notes the file in its journal."""
        status = self._lstat(self._target)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.target)
        if not stat.S_ISREG(status.st_mode):
            return False
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(self._target, flags, dir_fd=self._folder.fd), "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return False
            status = os.fstat(file.fileno())
            if not os.path.samestat(status, self._lstat(self._target)):
                return False
            self._unlink()
            os.dup2(file.fileno(), self._file, inheritable=False)
        return True

    def discard(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            self._unlink()

    def drop_leftover(self) -> None:
        """Remove the partial file of a killed process, when its target needs no download. A file
        that another process is writing stays."""
        with suppress(FileNotFoundError):
            self._lstat(self._name)
            with suppress(OSError), self:
                self.discard()

    def _unless_refused(
        self, name: str, call: Callable[..., None], *args: Any, **more: Any
    ) -> None:
        try:
            call(*args, **more)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self.refused[name] = os.strerror(error.errno)

    def _lstat(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folder.fd, follow_symlinks=False)

    def _unlink(self) -> None:
        os.unlink(self._name, dir_fd=self._folder.fd)

    def _rename(self) -> None:
        fd = self._folder.fd
        os.replace(self._name, self._target, src_dir_fd=fd, dst_dir_fd=fd)
