"""Verify: compares what both sides hold now with what was proven when it was moved.

An entry is compared with its proof in two steps. ``hold`` uses the walk and the listing::

    what differs from the proof      depth listing   depth metadata     depth content
    nothing                          ``=``           look at metadata   look at the bytes
    absent at the source             ``-`` source    the same           the same
    absent at the destination        ``+`` dest.     the same           the same
    absent on both sides             ``!`` both      the same           the same
    size                             ``*``           the same           the same
    mtime of the file                ``*``           ``*``              the bytes decide
    etag of the object               ``*``           a SHA-256 of S3's  the bytes decide
                                                     own decides

``judge_metadata`` and ``judge_content`` use the result of a closer look. ``side`` is where
something happened. A ``+`` at the source is an entry that was added there and never moved. A ``-``
at the destination is an entry that only the destination has; it is the only difference that is a
note and no failure. An entry that could not be looked at is ``!``.
"""

from __future__ import annotations

from datetime import date
from hashlib import blake2b
from typing import NamedTuple

from waybill.model.difference import CHANGED, FAILED, NEW, ONLY_THERE, UNCHANGED
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.s3.same_bytes import PROOF, PROVEN, REPLACED, SHA256, SOURCE_SHA256, Verdict

SOURCE, DESTINATION, BOTH = "source", "destination", "both"
LISTING, METADATA, CONTENT = "listing", "metadata", "content"

GONE = "gone, though proven"
MODIFIED = "modified since it was proven"
OTHER_ETAG = "the object was written again since it was proven: its ETag is another"
OTHER_BYTES = "its bytes have another SHA-256"
OTHER_CLAIM = "its source-sha256 is another than the proven one"
WRONG_CLAIM = "its source-sha256 is not that of its bytes, which are as proven"
NOTHING_STORED = "S3 tells no SHA-256 of it; size and ETag are as proven"
NOTHING_PROVEN = "its SHA-256 was never proven; size and ETag are as they were"
NEVER_MOVED = "never moved: in no marker"


class Expected(NamedTuple):
    """What an entry should be: size in bytes, ``mtime_ns`` of the file, SHA-256 in hex, etag
    without quotes. An unknown size or mtime is None; other unknown values are ``""``."""

    path: str
    key: str
    size: int | None
    mtime_ns: int | None
    sha256: str
    etag: str


class Finding(NamedTuple):
    """One line of the report; ``size`` in bytes is that of the proof."""

    status: str
    side: str
    path: str
    size: int | None
    reason: str = ""

    @property
    def fails(self) -> bool:
        """Whether the finding is a failure. Agreement and notes are none."""
        return self.status != UNCHANGED and (self.status, self.side) != (ONLY_THERE, DESTINATION)


class Look(NamedTuple):
    """One entry that is to be looked at more closely.

    ``mtime_ns`` and ``inode`` are those of the file now; ``mtime_ns`` is None when the file is not
    to be read. ``etag`` is that of the object now, and ``""`` when the object is not to be looked
    at. ``complete`` means that nothing was found so far: without a new finding the entry agrees.
    """

    path: str
    key: str
    size: int
    sha256: str
    proven_etag: str
    etag: str
    mtime_ns: int | None
    inode: int
    complete: bool

    @property
    def entry(self) -> LocalEntry:
        return LocalEntry(self.path, self.size, self.mtime_ns or 0, self.inode)

    def stands(self, etag: str) -> str:
        """The kind of this ETag for ``same_bytes``: PROVEN, or REPLACED when another was proven."""
        return PROVEN if self.proven_etag in ("", etag) else REPLACED


def sides(direction: str) -> tuple[str, str]:
    """The side of the folder, and the side of the bucket."""
    return (SOURCE, DESTINATION) if direction == "upload" else (DESTINATION, SOURCE)


def in_sample(path: str, sample: tuple[int, int], today: date) -> bool:
    """Whether an entry is in today's sample ``(n, m)``: n of m classes of paths.

    The class of a path depends on the path alone. Each day takes the next n classes, in a circle.
    So any ``ceil(m / n)`` days in a row take every entry, and no entry is taken twice before the
    circle is complete.
    """
    n, m = sample
    if n >= m:
        return True
    digest = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8, person=b"sample")
    number = int.from_bytes(digest.digest()) % m
    return (number - today.toordinal() * n) % m < n


def missing(path: str, size: int | None, side: str) -> Finding:
    """A proven entry that one side does not have any more."""
    return Finding(ONLY_THERE if side == SOURCE else NEW, side, path, size, GONE)


def hold(
    expected: Expected,
    local: LocalEntry | EntryError | None,
    there: RemoteEntry | None,
    *,
    direction: str,
    depth: str,
    tick_ns: int = 1,
    bucket_only: bool = False,
) -> tuple[list[Finding], Look | None]:
    """The findings of the walk and the listing about a proven entry, by the table of this module.
    The second value is the entry for a closer look; None when none is needed.

    ``local`` is an error when the file is there and cannot be looked at. ``tick_ns`` is the
    resolution of the mtime in the proof. With ``bucket_only`` the folder of the whole dataset is
    gone, and the missing file is not reported.
    """
    path, size = expected.path, expected.size
    folder, bucket = sides(direction)
    if local is None and there is None and not bucket_only:
        return [Finding(FAILED, BOTH, path, size, "gone from both sides, though proven")], None
    found: list[Finding] = []
    look_local, look_there = depth == CONTENT and not bucket_only, depth != LISTING
    if bucket_only:
        pass
    elif local is None:
        found.append(missing(path, size, folder))
    elif isinstance(local, EntryError):
        found.append(Finding(FAILED, folder, path, size, str(local)))
    elif local.size != size:
        found.append(Finding(CHANGED, folder, path, size, f"{local.size} bytes now"))
    elif depth != CONTENT and _is_modified(expected, local, tick_ns):
        found.append(Finding(CHANGED, folder, path, size, MODIFIED))
    look_local &= not found
    if there is None:
        found.append(missing(path, size, bucket))
    elif there.size != size:
        found.append(Finding(CHANGED, bucket, path, size, f"{there.size} bytes now"))
        there = None
    elif depth == LISTING and expected.etag not in ("", there.etag):
        found.append(Finding(CHANGED, bucket, path, size, OTHER_ETAG))
    look_there &= there is not None
    if depth == CONTENT and not expected.sha256 and not (look_local and look_there):
        # Only one side can be read, and there is nothing to compare its bytes with.
        return found or [Finding(UNCHANGED, BOTH, path, size, NOTHING_PROVEN)], None
    if not (look_local or look_there) or path.endswith("/"):  # a folder has no bytes
        return found or [Finding(UNCHANGED, BOTH, path, size)], None
    return found, Look(
        path,
        expected.key,
        size or 0,
        expected.sha256,
        expected.etag,
        there.etag if there is not None and look_there else "",
        local.mtime_ns if isinstance(local, LocalEntry) and look_local else None,
        local.inode if isinstance(local, LocalEntry) and look_local else 0,
        not found,
    )


def _is_modified(expected: Expected, local: LocalEntry, tick_ns: int) -> bool:
    if expected.mtime_ns is None or expected.path.endswith("/"):
        return False  # not known; or that of a folder, which changes with its files
    return expected.mtime_ns // tick_ns != local.mtime_ns // tick_ns


def hold_listed(expected: Expected, local: LocalEntry | EntryError | None, *, depth: str):
    """The findings about an entry of a list (a manifest, a checksum file), and the entry for a
    closer look or None. The folder counts as the destination."""
    path, size = expected.path, expected.size
    if local is None:
        return [Finding(NEW, DESTINATION, path, size, "is listed and not in the folder")], None
    if isinstance(local, EntryError):
        return [Finding(FAILED, DESTINATION, path, size, str(local))], None
    if size not in (None, local.size):
        return [Finding(CHANGED, DESTINATION, path, size, f"{local.size} bytes now")], None
    if depth == LISTING:
        return [Finding(UNCHANGED, BOTH, path, local.size)], None
    if not expected.sha256:
        reason = "the list has no SHA-256 of it; only its name and size can be compared"
        return [Finding(FAILED, DESTINATION, path, local.size, reason)], None
    look = Look(
        path, "", local.size, expected.sha256, "", "", local.mtime_ns, local.inode, complete=True
    )
    return [], look


def judge_metadata(look: Look, etag: str, verdict: Verdict, *, direction: str) -> list[Finding]:
    """The findings about an object by the checksums that S3 stores. ``etag`` is its ETag now. An
    upload wrote ``source-sha256`` itself, so a ``source-sha256`` that is not the proven one is a
    failure, even if another checksum agrees."""
    _, bucket = sides(direction)
    rewritten = look.stands(etag) == REPLACED

    def differs(reason: str) -> list[Finding]:
        return [Finding(CHANGED, bucket, look.path, look.size, reason)]

    if etag != look.etag:
        reason = "was written again while it was verified; run again"
        return [Finding(FAILED, bucket, look.path, look.size, reason)]
    if not look.sha256:
        return differs(OTHER_ETAG) if rewritten else agrees(look, NOTHING_PROVEN)
    if verdict.same is False and verdict.by == SHA256:
        return differs("the SHA-256 that S3 stores is another than the proven one")
    if verdict.by == SOURCE_SHA256 and not verdict.same:
        return differs(OTHER_CLAIM)
    if verdict.same and verdict.against:
        return differs(OTHER_CLAIM) if direction == "upload" else agrees(look, WRONG_CLAIM)
    if verdict.same:
        return agrees(look, NOTHING_STORED if verdict.by == PROOF else "")
    return differs(OTHER_ETAG)


def judge_content(
    look: Look,
    local: str | Finding | None,
    there: str | Finding | None,
    *,
    direction: str,
) -> list[Finding]:
    """The findings about an entry by the bytes of both sides. ``local`` and ``there`` are each the
    SHA-256 (hex), a finding when the bytes could not be read, or None when they were not to be
    read."""
    folder, bucket = sides(direction)
    found = [side for side in (local, there) if isinstance(side, Finding)]
    if look.sha256:
        for side, sha256 in ((folder, local), (bucket, there)):
            if isinstance(sha256, str) and sha256 != look.sha256:
                found.append(Finding(CHANGED, side, look.path, look.size, OTHER_BYTES))
    elif not found and local != there:
        reason = "the two sides hold different bytes; its SHA-256 was never proven"
        found.append(Finding(CHANGED, BOTH, look.path, look.size, reason))
    return found or agrees(look)


def agrees(look: Look, reason: str = "") -> list[Finding]:
    """The finding that an entry agrees; none when an earlier step found something."""
    return [Finding(UNCHANGED, BOTH, look.path, look.size, reason)] if look.complete else []
