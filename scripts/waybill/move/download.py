"""Download: moves the objects of one batch into the destination and proves each one.

The bytes are written under a temporary name in the same folder
(``model.target_names.partial_name``) and compared with what S3 says about the object. They are on
disk, with their modification time, before the file gets its name. Large objects are fetched in
parallel ranges, and resume after an interruption.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cached_property, partial

import botocore.exceptions as be

from waybill.model import difference
from waybill.model.difference import Difference
from waybill.model.errors import EntryError, WaybillError
from waybill.model.times import nanoseconds
from waybill.move.compare import source_mtime
from waybill.move.fetch import Fetcher
from waybill.move.flush import GROUP_SECONDS, OPEN_FILES, Sync, sync_folder
from waybill.move.mover import Mover, Outcome
from waybill.move.partial import Partial
from waybill.results.marker import Proof
from waybill.s3.checksums import MD5_ETAG
from waybill.s3.engine.base import BrokenOffError, ReplacedError
from waybill.s3.errors import is_missing
from waybill.s3.evidence import DAMAGED_ATTEMPTS, Answer, Stored, ask, etag_of, size_of, stored
from waybill.s3.object_check import ObjectCheck
from waybill.s3.parts import MULTIPART_ABOVE_BYTES
from waybill.s3.same_bytes import Word
from waybill.system.pace import LARGEST_PIECE
from waybill.system.root import Folder, LinkError, Root

log = logging.getLogger(__name__)

WHOLE_BYTES = 8 << 20  # an object up to this size is fetched into memory first
# What it means when the file system refuses a call.
REFUSED = {
    "utime": "they have the time of the download, not that of the source",
    "fchmod": "they do not have the permissions of the files that they replaced",
    "fsync": "a power cut may cost the last of them; then run again",
}

REPLACED_ATTEMPTS = 3  # to fetch an object that is replaced meanwhile


class Downloader(Mover):
    """One download job."""

    def run(self, items: list[Difference]) -> Outcome:
        """As ``Mover.run``; when it returns, the new names are on disk too."""
        self._unchecked = 0
        self._refused: Counter[tuple[str, str]] = Counter()  # files by call and reason
        # Whether any ETag was the MD5 of its object, and the paths of those that were not.
        self._has_md5_etags, self._other_etags = False, set[str]()
        self._open: set[Partial] = set()  # complete files that have no name yet
        # The folders that files were written to: the path below the destination to (device, inode).
        self._folders: dict[str, tuple[int, int]] = {}
        self._sync = Sync(lambda work: self._pool.submit(work))
        for item in items:
            if item.action == difference.KEEP:
                self._drop_leftover(item)
        try:
            super().run(items)
        except BaseException:
            for file in self._open:
                file.discard()
            raise
        self._sync_folders()
        self._tell_etags()
        if self._unchecked:
            log.warning(
                "%d objects have no checksum to hold their bytes against; their size is right",
                self._unchecked,
            )
        for (call, why), count in sorted(self._refused.items()):
            log.warning(
                "%s: %d files kept, though the file system refused %s (%s): %s",
                self._transfer.folder, count, call, why, REFUSED[call],
            )  # fmt: skip
        return self.outcome

    def _tell_etags(self) -> None:
        """Say it with the failures when no ETag was the MD5 of its object: other clients and stores
        give ETags of 32 hex digits, too."""
        if self._has_md5_etags:
            return
        hint = (
            "no object of this batch has the MD5 that its ETag tells, though the sizes are right;"
            " if the ETags of this store are no MD5s, set etag_is_md5 = false"
        )
        for number, failure in enumerate(self.outcome.failed):
            if failure.path in self._other_etags:
                told = failure._replace(message=f"{failure.message}; {hint}")
                self.outcome.failed[number] = told

    def _finished(self, item: Difference) -> Proof | None:
        """The journal's proof of an entry, when it still holds: the file has the proven size and
        mtime, and it was made from the listed object or moved after the listing."""
        run, proof = self._record.done.get(item.path, ("", None))
        if proof is None or proof.key != self._key(item):
            return None
        listed = proof.etag == item.etag and self._transfer.overwrite != "always"
        if not (listed or run == self._run_token):
            return None
        try:
            status = self._root.lstat(item.path)
        except OSError:
            return None
        same = proof.is_of(status.st_size, status.st_mtime_ns, status.st_ino)
        return proof if same else None

    @cached_property
    def _fetcher(self) -> Fetcher:
        return Fetcher(
            self._transfer,
            self._engine,
            self._journal,
            self._record,
            self._pool,
            self._key,
            self._replaced,
        )

    @cached_property
    def _whole_bytes(self) -> int:
        """The largest object that is fetched into memory; what is larger comes piece by piece."""
        return WHOLE_BYTES if self._transfer.max_bandwidth is None else LARGEST_PIECE

    def _target(self, item: Difference) -> str:
        return f"{self._transfer.folder}/{item.path}"

    def _is_full(self) -> bool:
        return len(self._open) >= OPEN_FILES

    def _before_waiting(self) -> float | None:
        if self._sync.is_due or self._sync.waiting == self._under_way:
            self._sync.flush()
        return GROUP_SECONDS if self._sync.waiting else None

    def _launch(self, item: Difference) -> None:
        if item.path.endswith("/"):
            self._budget.give(item.size)
            self._land(item, partial(self._make_folder, item))
        elif item.size > self._whole_bytes:
            self._budget.give(item.size)
            self._fetch_in_pool(item)
        else:
            come = self._engine.get_object(self._key(item), item.etag, item.size)
            come.add_done_callback(lambda _: self._land(item, partial(self._come, item, come)))

    def _fetch_in_pool(self, item: Difference, tried: int = 0) -> None:
        fetched = self._pool.submit(self._fetch, item, tried)
        fetched.add_done_callback(lambda _: self._land(item, fetched.result))

    def _come(self, item: Difference, come: Future[tuple[Answer, bytes]]) -> None:
        """Write an object that is in memory to its file, and queue the file to be put on disk. An
        object that was replaced, came damaged or broke off is fetched again in the pool."""
        try:
            answer, body = come.result()
            check = self._fetcher.check(item, answer)
            check.update(body)
            if len(body) != item.size:
                raise ReplacedError
        except (ReplacedError, BrokenOffError):
            return self._fetch_in_pool(item)
        finally:
            self._budget.give(item.size)
        if check.agrees() is False:
            log.info("%s: damaged, %s differs; attempt 1", item.path, check.name)
            return self._fetch_in_pool(item, tried=1)
        with self._explained(item):
            file = self._partial(item).__enter__()
            try:
                file.clear()
                file.write(0, body)
                file.date(source_mtime(answer, int(item.time)))
            except BaseException:
                file.discard()
                file.close()
                raise
        self._open.add(file)
        self._sync.add(
            file,
            lambda error: self._land(item, partial(self._name, item, file, error, answer, check)),
        )
        return None

    def _name(
        self,
        item: Difference,
        file: Partial,
        error: BaseException | None,
        answer: Answer,
        check: ObjectCheck,
    ) -> Proof:
        """Give a file its name. ``error`` is what went wrong when it was put on disk, or None."""
        self._open.discard(file)
        with self._explained(item):
            try:
                if error is not None:
                    raise error
                return self._finish(file, item, answer, check)
            except (OSError, EntryError):
                file.discard()
                raise
            finally:
                file.close()

    def _move_large(self, item: Difference) -> Proof:
        return self._fetch(item, in_ranges=True)

    def _make_folder(self, item: Difference) -> Proof:
        with self._explained(item):
            self._folder(item.path[:-1])
        # The time of the object, because an inventory gives it to a folder that is there.
        item = item._replace(mtime_ns=int(item.time))
        return self._proof(item, Stored(item.etag, ""))

    def _fetch(self, item: Difference, tried: int = 0, *, in_ranges: bool = False) -> Proof:
        """Fetch one object and prove it. ``tried`` counts earlier attempts that came damaged.

        An object that is replaced meanwhile is fetched again from its beginning. ``in_ranges``
        allows ranges for a large object; it must not be set in a thread of the pool, because the
        ranges need the pool.
        """
        before = item
        for _ in range(REPLACED_ATTEMPTS):
            try:
                with self._explained(item), self._partial(item) as file:
                    ranges = in_ranges and item.size > MULTIPART_ABOVE_BYTES
                    return self._fetch_into(file, item, tried, ranges)
            except ReplacedError:
                log.info("%s was replaced while it was fetched", self._url(item))
                before, item = item, self._looked_at_anew(item)
        if (item.etag, item.size) == (before.etag, before.size):
            text = f"what comes is not {self._url(item)} as it is listed, of {item.size} bytes"
            raise EntryError(item.path, f"{text}; is it unpacked or changed on the way?")
        raise EntryError(item.path, f"{self._url(item)} keeps being replaced; run again later")

    def _partial(self, item: Difference) -> Partial:
        """The partial file of an object. Its folder is made if it does not exist."""
        return Partial(self._target(item), self._folder(item.path.rpartition("/")[0]))

    def _folder(self, path: str) -> Folder:
        """The folder at ``path`` below the destination, made if it does not exist. Raises OSError;
        LinkError for a symbolic link below the destination; WaybillError for a folder that was
        replaced since this job used it first."""
        folder = self._root.folder(path, make=True)
        if self._folders.setdefault(path, folder.identity) != folder.identity:
            raise self._moved(path)
        return folder

    def _drop_leftover(self, item: Difference) -> None:
        with suppress(OSError):
            folder = self._root.folder(item.path.rpartition("/")[0])
            Partial(self._target(item), folder).drop_leftover()

    def _sync_folders(self) -> None:
        """Put the new names on disk. Raises WaybillError when a folder was moved or replaced."""
        now = Root(self._transfer.folder)
        for path, identity in self._folders.items():
            try:
                folder = now.folder(path)
            except OSError:
                raise self._moved(path) from None
            if folder.identity != identity:
                raise self._moved(path)
            sync_folder(folder)

    def _moved(self, path: str) -> WaybillError:
        return WaybillError(
            f"{self._transfer.folder}/{path}: the folder was moved, removed or replaced while"
            " files were written to it; run again"
        )

    @contextmanager
    def _explained(self, item: Difference) -> Iterator[None]:
        """Turn an OSError into an EntryError; when the disk is full, into a WaybillError."""
        try:
            yield
        except LinkError as error:
            link = error.filename
            text = f"the destination has a symbolic link where a folder must be: {link}; nothing is"
            text = f"{text} written through a link: put a folder in its place, or exclude it"
            raise EntryError(item.path, text) from None
        except OSError as error:
            raise self._explain(item, self._target(item), error) from None

    def _looked_at_anew(self, item: Difference) -> Difference:
        client = self._engine.client

        def read(head: Answer) -> Difference:
            when = head.get("LastModified")
            return item._replace(
                etag=etag_of(head),
                size=size_of(head),
                time=str(nanoseconds(when)) if when else item.time,
            )

        try:
            return ask(client, client.head_object, read, Key=self._key(item), **self._common)
        except be.ClientError as error:
            if not is_missing(error):
                raise
            text = f"{self._url(item)} was removed since the listing; run again"
            raise EntryError(item.path, text) from None

    def _fetch_into(self, file: Partial, item: Difference, tried: int, ranges: bool) -> Proof:
        try:
            return self._fetch_checked(file, item, tried, ranges)
        except (EntryError, ReplacedError):
            file.discard()
            raise
        except BaseException:
            begun = self._record.open_download(item.path)
            if begun is None or not begun.ranges:  # finished ranges are kept for the next run
                file.discard()
            raise

    def _fetch_checked(self, file: Partial, item: Difference, tried: int, ranges: bool) -> Proof:
        differs, came = "checksum", set[str]()
        for attempt in range(tried, DAMAGED_ATTEMPTS):
            if ranges:
                answer, check = self._fetcher.ranges(file, item, attempt)
            else:
                answer, check = self._fetcher.whole(file, item, attempt)
            if check.agrees() is not False:
                file.date(source_mtime(answer, int(item.time)))
                file.sync()
                return self._finish(file, item, answer, check)
            log.info("%s: damaged, %s differs; attempt %d", item.path, check.name, attempt + 1)
            file.clear()
            differs = check.name
            came.add(check.sha256)
        if differs == MD5_ETAG and len(came) == 1:  # not damaged on the way
            self._other_etags.add(item.path)
        raise EntryError(
            item.path,
            f"the bytes of {self._url(item)} do not agree with its {differs}, after"
            f" {DAMAGED_ATTEMPTS} attempts; nothing written",
        )

    def _finish(self, file: Partial, item: Difference, answer: Answer, check: ObjectCheck) -> Proof:
        """Give the file its name. Raises EntryError when the destination has changed since the
        inventory."""
        follow = self._transfer.symlinks == "follow"
        if "ETag" not in answer:
            if not check.agrees():
                text = "was answered without an ETag, and nothing else tells whose bytes came"
                raise EntryError(item.path, f"{self._url(item)} {text}")
            answer = {"ETag": item.etag}
        if item.status == difference.NEW or self._transfer.overwrite == "never":
            if not (file.become() or file.is_same(check.sha256)):
                text = "appeared at the destination since the inventory; not touched; run again"
                raise EntryError(item.path, text)
        elif not file.replace(item.mtime_ns, item.inode, follow=follow):
            text = "changed at the destination since the inventory; not touched; run again"
            raise EntryError(item.path, text)
        self._unchecked += check.agrees() is None
        self._refused.update(file.refused.items())
        self._has_md5_etags |= check.by_store == Word(MD5_ETAG, True)
        if check.verdict.against:
            log.warning("%s: its %s is wrong", self._url(item), check.verdict.against)
        status = file.status
        item = item._replace(sha256=check.sha256, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
        return self._proof(item, stored(answer))

    def _explain(self, item: Difference, target: str, error: OSError) -> WaybillError:
        free = shutil.disk_usage(self._transfer.folder).free if _is_full(error) else 0
        if _is_full(error) and free < item.size + (1 << 20):
            return WaybillError(
                f"{self._transfer.folder}: the destination is full ({error.strerror});"
                " make room and run again"
            )
        if isinstance(error, BlockingIOError):
            text = "another download is writing it; wait until it has ended, and run again"
        elif isinstance(error, NotADirectoryError | FileExistsError):
            text = "the destination has a file where a folder must be"
        else:
            text = f"cannot be written: {error.strerror or error}"
        told = str(error.filename or "")
        where = told if told.startswith("/") else target
        return EntryError(item.path, f"{text} ({where})")


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
