"""Diff: compares the destination with the source, entry by entry.

``diff/{dataset}/{batch}.tsv``: ``status``, ``action``, ``path``, ``size`` bytes at the source,
``mtime_ns`` and ``inode`` of the file (0: there is none yet), ``sha256`` hex of the file or empty,
``etag`` of the object or empty, ``time`` its LastModified in ns or empty, ``reason``.

The truth table, the same in both directions (``compare`` down, what the destination holds across):

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

``s3.same_bytes`` says what decides whether the bytes are the same, and when nothing can. The time
of an object is its LastModified; a download takes the time of the original file instead where the
metadata has it (``source-mtime``). A file that was downloaded from this very object and not touched
since is ``=`` in every row. The action follows from the status and from ``overwrite``:

============  ==========  ==========  ==============  ==========================
overwrite     ``=``       ``+``       ``*``           ``!`` nothing to compare with
============  ==========  ==========  ==============  ==========================
if-changed    keep        move        move            move
never         keep        move        refuse, ``!``   refuse
always        move        move        move            move
============  ==========  ==========  ==============  ==========================

A file that cannot be read and an object that cannot be looked at are always refused. A refused
entry fails its batch after the others moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from waybill.model.difference import CHANGED, FAILED, KEEP, MOVE, NEW, REFUSE, UNCHANGED, Difference
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError
from waybill.s3.same_bytes import Verdict, by_proof

NOTHING_TO_COMPARE = "the object has no checksum that can be compared"
REPLACED = "the object was written again since it was proven"


def compare_entry(
    entry: LocalEntry,
    sha256: str | None,
    there: RemoteEntry | None,
    *,
    compare: str,
    same: Callable[[], Verdict],
) -> tuple[str, str]:
    """The status of one entry and the reason for it: the first truth table of this module.

    ``same`` is asked only when a hash decides and the listing could not.
    """
    if sha256 is None:
        return FAILED, "the file could not be hashed"
    if there is None:
        return NEW, "not at the destination"
    if there.size != entry.size:
        return CHANGED, f"size differs: {there.size} bytes there"
    if compare == "size":
        return UNCHANGED, "same size"
    if compare == "mtime":
        if there.mtime_ns >= entry.mtime_ns:
            return UNCHANGED, "same size, not older"
        return CHANGED, "same size, older"
    return _judged(same())


def _judged(verdict: Verdict) -> tuple[str, str]:
    if verdict.same is None:
        return FAILED, NOTHING_TO_COMPARE
    return UNCHANGED if verdict.same else CHANGED, verdict.reason


def compare_object(
    entry: RemoteEntry,
    there: LocalEntry | None,
    *,
    compare: str,
    same: Callable[[], Verdict],
    made_ns: Callable[[], int],
) -> tuple[str, str]:
    """The status of one object to download and the reason for it: the same truth table.

    ``same`` is asked only when a hash decides, ``made_ns`` (the time in ns of what the object was
    made from) only when a time decides and the listing could not.
    """
    if there is None:
        return NEW, "not at the destination"
    if entry.path.endswith("/"):
        return UNCHANGED, "the folder is there"
    if there.size != entry.size:
        return CHANGED, f"size differs: {there.size} bytes there"
    if compare == "size":
        return UNCHANGED, "same size"
    if compare == "mtime":
        if there.mtime_ns >= entry.mtime_ns or there.mtime_ns >= made_ns():
            return UNCHANGED, "same size, not older"
        return CHANGED, "same size, older"
    return _judged(same())


def action_of(status: str, *, hashed: bool, overwrite: str) -> str:
    """What to do about an entry: the second truth table of this module."""
    if not hashed:
        return REFUSE
    if overwrite == "always" or status == NEW:
        return MOVE
    if status == UNCHANGED:
        return KEEP
    return MOVE if overwrite == "if-changed" else REFUSE


def diff(
    entries: list[LocalEntry],
    hashes: Mapping[str, str],
    remote: Mapping[str, RemoteEntry],
    *,
    compare: str,
    overwrite: str,
    same_bytes: Callable[[LocalEntry], Verdict | EntryError],
) -> Iterator[Difference]:
    """The differences of a batch, in the order of ``entries``.

    ``hashes`` maps a path to its SHA-256; ``same_bytes`` is asked for objects of the same size
    whose SHA-256 the listing, the markers and the manifests left open, and may answer with the
    error of that one entry.
    """
    for entry in entries:
        sha256 = hashes.get(entry.path)
        there = remote.get(entry.path)

        def same(entry=entry, sha256=sha256, there=there) -> Verdict:
            if sha256 is not None and there is not None and there.sha256:
                return by_proof(there.sha256, sha256)
            answer = same_bytes(entry)
            if isinstance(answer, EntryError):
                raise answer
            return answer

        try:
            status, reason = compare_entry(entry, sha256, there, compare=compare, same=same)
            action = action_of(status, hashed=sha256 is not None, overwrite=overwrite)
        except EntryError as error:
            status, action, reason = FAILED, REFUSE, f"cannot be compared: {error}"
            sha256 = None
        if sha256 is not None:
            status, reason = _told(status, action, reason, there)
        yield Difference(
            status, action, entry.path, entry.size, entry.mtime_ns, entry.inode, sha256 or "",
            there.etag if there else "", str(there.mtime_ns) if there else "", reason,
        )  # fmt: skip


def _told(status: str, action: str, reason: str, there: RemoteEntry | None) -> tuple[str, str]:
    """Status and reason with what became of the object since it was proven, and with what
    ``overwrite`` made of them."""
    if status == CHANGED and there is not None and there.replaced:
        reason = f"{reason}; {REPLACED}"
    if action == REFUSE:
        return FAILED, f'{reason}; not overwritten (overwrite = "never")'
    if action == MOVE and status == UNCHANGED:
        return status, f'{reason}; forced (overwrite = "always")'
    return status, reason


def diff_download(
    entries: list[RemoteEntry],
    local: Mapping[str, LocalEntry],
    *,
    compare: str,
    overwrite: str,
    ours: Mapping[str, str],
    hashes: Mapping[str, str],
    same_bytes: Callable[[LocalEntry], Verdict | EntryError],
    made_ns: Callable[[RemoteEntry], int],
) -> Iterator[Difference]:
    """The differences of a batch to download, in the order of ``entries``.

    ``ours`` maps the paths of files that were made from these very objects and not touched since
    to their SHA-256, ``hashes`` those of other files that had to be hashed. ``same_bytes`` and
    ``made_ns`` (raises EntryError) are asked where the tables leave it open.
    """
    for entry in entries:
        there = local.get(entry.path)
        sha256 = ours.get(entry.path) or hashes.get(entry.path, "")

        def same(entry=entry, sha256=sha256, there=there) -> Verdict:
            if there is None or not sha256:
                raise EntryError(entry.path, "the file at the destination could not be hashed")
            if entry.sha256:
                return by_proof(entry.sha256, sha256)
            answer = same_bytes(there)
            if isinstance(answer, EntryError):
                raise answer
            return answer

        try:
            if entry.path in ours:
                status, reason = UNCHANGED, "downloaded earlier"
            else:
                status, reason = compare_object(
                    entry, there, compare=compare, same=same,
                    made_ns=lambda entry=entry: made_ns(entry),
                )  # fmt: skip
            action = action_of(status, hashed=True, overwrite=overwrite)
            status, reason = _told(status, action, reason, entry)
        except EntryError as error:
            status, action, reason = FAILED, REFUSE, f"cannot be compared: {error}"
        yield Difference(
            status, action, entry.path, entry.size,
            there.mtime_ns if there else 0, there.inode if there else 0,
            sha256 if action == KEEP else "", entry.etag, str(entry.mtime_ns), reason,
        )  # fmt: skip


def undecided(
    entries: list[LocalEntry], hashes: Mapping[str, str], remote: Mapping[str, RemoteEntry]
) -> list[LocalEntry]:
    """The entries whose objects must be asked one by one: same size, SHA-256 not known."""
    return [
        e
        for e in entries
        if e.path in hashes
        and (there := remote.get(e.path))
        and there.size == e.size
        and not there.sha256
    ]
