"""Diff: compares the destination with the source, entry by entry.

``diff/{dataset}/{batch}.tsv``: ``status``, ``action``, ``path``, ``size`` bytes at the source,
``mtime_ns`` and ``inode`` of the file (0: there is none yet), ``sha256`` hex of the file or empty,
``etag`` of the object or empty, ``time`` its LastModified in ns or empty, ``reason``.

``judge`` implements the truth table, which is the same in both directions. ``compare`` is down, the
content of the destination is across:

==========  ======  =========  ================================  ==================
compare     absent  size       same size                         nothing to compare
                    differs                                      with
==========  ======  =========  ================================  ==================
sha256      ``+``   ``*``      ``=`` same bytes, ``*`` others    ``!``
mtime       ``+``   ``*``      ``=`` the destination is not      (cannot happen)
                               older than the source, ``*``
                               older
size        ``+``   ``*``      ``=``                             (cannot happen)
any, file   ``!``   ``!``      ``!``                             ``!``
unreadable
or object
not to be
looked at
==========  ======  =========  ================================  ==================

``s3.same_bytes`` decides whether the bytes are the same. The time of an object is its LastModified;
a download uses the time of the original file where the metadata has it (``source-mtime``). A file
that was downloaded from the listed object and not changed since is ``=`` in every row. The action
follows from the status and from ``overwrite``:

============  ==========  ==========  ==============  ==========================
overwrite     ``=``       ``+``       ``*``           ``!`` nothing to compare with
============  ==========  ==========  ==============  ==========================
if-changed    keep        move        move            move
never         keep        move        refuse, ``!``   refuse
always        move        move        move            move
============  ==========  ==========  ==============  ==========================

A file that cannot be read and an object that cannot be looked at are always refused. A refused
entry fails its batch after the others moved.

A plan reads no file and asks S3 about no object: ``same_bytes`` and ``made_ns`` are None. An entry
that needs either is ``?`` then. Its action is look, or move with ``overwrite = "always"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from waybill.model.difference import (
    CHANGED,
    FAILED,
    KEEP,
    LOOK,
    MOVE,
    NEW,
    REFUSE,
    UNCHANGED,
    UNDECIDED,
    Difference,
)
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.s3.same_bytes import Verdict, by_proof

NOTHING_TO_COMPARE = "the object has no checksum that can be compared"
REPLACED = "the object was written again since it was proven"
ONLY_A_HASH = "same size; only a hash could tell"
ONLY_S3 = "same size; only S3 could tell"

Same = Callable[[LocalEntry], Verdict | EntryError]


class UndecidedError(Exception):
    """Neither the tables nor earlier proofs decide about an entry; the text is the reason."""


class _Pair(NamedTuple):
    """Both sides of one entry: by role (``source``, ``there`` at the destination) and by kind
    (``file``, ``object``). ``sha256`` (hex) is that of the file: None when a file to upload could
    not be hashed, ``""`` when the hash of a file at the destination is not known."""

    source: LocalEntry | RemoteEntry
    there: LocalEntry | RemoteEntry | None
    file: LocalEntry | None
    object: RemoteEntry | None
    sha256: str | None


def judge(
    source: LocalEntry | RemoteEntry,
    there: LocalEntry | RemoteEntry | None,
    *,
    compare: str,
    same: Callable[[], Verdict],
    made_ns: Callable[[], int] | None = None,
) -> tuple[str, str]:
    """The status of one entry and the reason for it: the first truth table of this module.

    ``same`` is called only when the bytes decide. ``made_ns`` gives the time (ns) of the file that
    the source object was made from. It is called only when the time decides and the destination is
    older than the object itself. Raises what ``same`` and ``made_ns`` raise.
    """
    if there is None:
        return NEW, "not at the destination"
    if isinstance(source, RemoteEntry) and source.path.endswith("/"):
        return UNCHANGED, "the folder is there"
    if there.size != source.size:
        return CHANGED, f"size differs: {there.size} bytes there"
    if compare == "size":
        return UNCHANGED, "same size"
    if compare == "mtime":
        is_older = there.mtime_ns < source.mtime_ns
        if is_older and made_ns is not None:
            is_older = there.mtime_ns < made_ns()
        return (CHANGED, "same size, older") if is_older else (UNCHANGED, "same size, not older")
    verdict = same()
    if verdict.same is None:
        return FAILED, NOTHING_TO_COMPARE
    return UNCHANGED if verdict.same else CHANGED, verdict.reason


def action_of(status: str, *, overwrite: str) -> str:
    """What to do about an entry: the second truth table of this module."""
    if overwrite == "always" or status == NEW:
        return MOVE
    if status == UNCHANGED:
        return KEEP
    if status == UNDECIDED:
        return LOOK
    return MOVE if overwrite == "if-changed" else REFUSE


def diff(
    entries: list[LocalEntry],
    hashes: Mapping[str, str],
    remote: Mapping[str, RemoteEntry],
    *,
    compare: str,
    overwrite: str,
    same_bytes: Same | None,
) -> Iterator[Difference]:
    """The differences of a batch, in the order of ``entries``.

    ``hashes`` maps a path to the SHA-256 (hex) of the file. ``same_bytes`` is called for objects of
    the same size whose SHA-256 no listing, marker or manifest gives; it may return the error of
    that one entry. A plan has None for it, and ``""`` for a hash that is not known.
    """
    for entry in entries:
        there = remote.get(entry.path)
        pair = _Pair(entry, there, entry, there, hashes.get(entry.path))
        yield _difference(
            pair,
            lambda pair=pair: judge(
                pair.source, pair.there, compare=compare, same=lambda: _same(pair, same_bytes)
            ),
            overwrite,
        )


def diff_download(
    entries: list[RemoteEntry],
    local: Mapping[str, LocalEntry],
    *,
    compare: str,
    overwrite: str,
    ours: Mapping[str, str],
    hashes: Mapping[str, str],
    same_bytes: Same | None,
    made_ns: Callable[[RemoteEntry], int] | None,
) -> Iterator[Difference]:
    """The differences of a batch to download, in the order of ``entries``.

    ``ours`` and ``hashes`` map a path to the SHA-256 (hex) of the file at the destination. ``ours``
    has the files that were downloaded from the listed objects and not changed since; ``hashes`` has
    other files that had to be hashed. ``same_bytes`` and ``made_ns`` (raises EntryError) are called
    where the tables do not decide; a plan has None for both.
    """

    def made(entry: RemoteEntry) -> int:
        if made_ns is None:
            raise UndecidedError(ONLY_S3)
        return made_ns(entry)

    for entry in entries:
        there = local.get(entry.path)
        sha256 = ours.get(entry.path) or hashes.get(entry.path, "")

        def judged(pair: _Pair, entry: RemoteEntry = entry) -> tuple[str, str]:
            if entry.path in ours:
                return UNCHANGED, "downloaded earlier"
            return judge(
                entry,
                pair.there,
                compare=compare,
                same=lambda: _same(pair, same_bytes),
                made_ns=lambda: made(entry),
            )

        pair = _Pair(entry, there, there, entry, sha256)
        found = _difference(pair, lambda pair=pair, judged=judged: judged(pair), overwrite)
        yield found if found.action == KEEP else found._replace(sha256="")


def _same(pair: _Pair, same_bytes: Same | None) -> Verdict:
    """Whether both sides hold the same bytes. Raises EntryError, UndecidedError."""
    if same_bytes is None and not pair.sha256:
        raise UndecidedError(ONLY_A_HASH)
    if pair.file is None or pair.object is None or not pair.sha256:
        raise EntryError(pair.source.path, "the file at the destination could not be hashed")
    if pair.object.sha256:
        return by_proof(pair.object.sha256, pair.sha256)
    if same_bytes is None:
        raise UndecidedError(ONLY_S3)
    answer = same_bytes(pair.file)
    if isinstance(answer, EntryError):
        raise answer
    return answer


def _difference(pair: _Pair, judged: Callable[[], tuple[str, str]], overwrite: str) -> Difference:
    """The row of one entry."""
    source, file, there, sha256 = pair.source, pair.file, pair.object, pair.sha256
    try:
        if sha256 is None:
            status, action, reason = FAILED, REFUSE, "the file could not be hashed"
        else:
            try:
                status, reason = judged()
            except UndecidedError as why:
                status, reason = UNDECIDED, str(why)
            action = action_of(status, overwrite=overwrite)
            status, reason = _told(status, action, reason, there)
    except EntryError as error:
        status, action, reason, sha256 = FAILED, REFUSE, f"cannot be compared: {error}", None
    return Difference(
        status, action, source.path, source.size,
        file.mtime_ns if file else 0, file.inode if file else 0, sha256 or "",
        there.etag if there else "", str(there.mtime_ns) if there else "", reason,
    )  # fmt: skip


def _told(status: str, action: str, reason: str, there: RemoteEntry | None) -> tuple[str, str]:
    """Status and reason for the user. The reason also says that the object was replaced since it
    was proven, and that ``overwrite`` changed the action."""
    if status == CHANGED and there is not None and there.replaced:
        reason = f"{reason}; {REPLACED}"
    if action == REFUSE:
        return FAILED, f'{reason}; not overwritten (overwrite = "never")'
    if action == MOVE and status in (UNCHANGED, UNDECIDED):
        return status, f'{reason}; forced (overwrite = "always")'
    return status, reason


def undecided(
    entries: list[LocalEntry], hashes: Mapping[str, str], remote: Mapping[str, RemoteEntry]
) -> list[LocalEntry]:
    """The entries whose objects need a request each: same size, and no known SHA-256."""
    return [
        e
        for e in entries
        if e.path in hashes
        and (there := remote.get(e.path))
        and there.size == e.size
        and not there.sha256
    ]
