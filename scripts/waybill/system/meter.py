"""What this process has moved and hashed until now, counted while it happens.

The counts are of the whole process, as those of CPU time are: a job is a process of its own. The
bytes of a file count once, however often they are sent: those of a failed request are taken back,
and no file counts for more than its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from threading import RLock


@dataclass(slots=True)
class File:
    """A file on its way: ``size``, the bytes of it that were ``moved`` by this process, and those
    that were ``there`` before."""

    path: str
    size: int
    moved: int = 0
    there: int = 0

    @property
    def done(self) -> int:
        """Bytes that are on the other side."""
        return self.moved + self.there


@dataclass(slots=True)
class Counts:
    """Totals of a process. ``moved`` are bytes that were sent or fetched, ``there`` bytes of the
    same files that an earlier process had moved; both include files on their way. ``files`` have
    arrived. ``hashed`` are bytes read for their SHA-256. What is to be done is in ``files_total``,
    ``bytes_total`` and ``hash_total``. ``repeats`` counts requests that were sent once more, and
    ``large`` are the files on their way that are moved in parts."""

    files: int = 0
    files_total: int = 0
    moved: int = 0
    there: int = 0
    bytes_total: int = 0
    hashed: int = 0
    hash_total: int = 0
    repeats: int = 0
    large: list[File] = field(default_factory=list)


class Meter:
    """Counts; safe to use from several threads, and in a signal handler of the main thread. Files
    are known by the key of their object; a key that was not begun counts nothing."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._counts = Counts()
        self._under_way: dict[str, File] = {}
        self._large: dict[str, File] = {}

    def expect(self, sizes: Iterable[int]) -> None:
        """Files of these sizes (bytes) are to be moved."""
        sizes = list(sizes)
        with self._lock:
            self._counts.files_total += len(sizes)
            self._counts.bytes_total += sum(sizes)

    def expect_hashes(self, size: int) -> None:
        """So many bytes are to be hashed."""
        with self._lock:
            self._counts.hash_total += size

    def hash(self, size: int) -> None:
        """So many bytes were read for their SHA-256."""
        with self._lock:
            self._counts.hashed += size

    def repeat(self) -> None:
        """A request is sent once more."""
        with self._lock:
            self._counts.repeats += 1

    def begin(self, key: str, path: str, size: int, *, large: bool = False) -> None:
        """A file begins to move; a ``large`` one is shown by itself."""
        file = File(path, size)
        with self._lock:
            self._under_way[key] = file
            if large:
                self._large[key] = file

    def move(self, key: str, count: int) -> None:
        """So many bytes of a file have moved; a negative count takes bytes back."""
        with self._lock:
            if (file := self._under_way.get(key)) is not None:
                count = max(-file.moved, min(count, file.size - file.done))
                file.moved += count
                self._counts.moved += count

    def there(self, key: str, count: int) -> None:
        """So many bytes of a file were moved earlier."""
        with self._lock:
            if (file := self._under_way.get(key)) is not None:
                count = min(count, file.size - file.done)
                file.there += count
                self._counts.there += count

    def end(self, key: str, *, arrived: bool) -> None:
        """A file has arrived as a whole, or none of its bytes count."""
        with self._lock:
            if (file := self._under_way.pop(key, None)) is None:
                return
            self._large.pop(key, None)
            if arrived:
                self._counts.files += 1
                self._counts.moved += file.size - file.done
            else:
                self._counts.moved -= file.moved
                self._counts.there -= file.there

    def look(self) -> Counts:
        """The counts as they are now."""
        with self._lock:
            return replace(self._counts, large=[replace(file) for file in self._large.values()])


METER = Meter()  # of this process


class Span:
    """The bytes of one request for the object at ``key``, from byte ``start``. Bytes that are sent
    or fetched again count once."""

    def __init__(self, key: str, start: int = 0) -> None:
        self._key = key
        self._start = self._reached = start

    def reach(self, position: int) -> None:
        """All bytes before ``position`` have moved."""
        if position > self._reached:
            METER.move(self._key, position - self._reached)
            self._reached = position

    def drop(self) -> None:
        """The request has failed: none of its bytes count."""
        METER.move(self._key, self._start - self._reached)
        self._reached = self._start
