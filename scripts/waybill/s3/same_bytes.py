"""Whether two sides hold the same bytes: a file, or bytes as they come, and an object of S3.

Three kinds of evidence about an object count, in this order. When two of them contradict each
other, the earlier one decides:

1. its ETag: when it is the one that was proven (marker, journal, manifest), the proven SHA-256 is
   that of the object, and S3 need not be asked;
2. what the store computed itself: the strongest of SHA-256, SHA-512, SHA-1, MD5, XXHASH, CRC64NVME,
   CRC32C and CRC32 of the whole object; its ETag where that is an MD5 (one part, no KMS, no SSE-C);
   else a checksum of its parts. Parts are cut as the store tells; where it does not tell, guesses
   (the part sizes of Waybill and of usual tools) can show that bytes are the same, not that they
   differ;
3. what its writer claims in metadata: ``md5chksum`` (rclone) and ``source-sha256``. A claim vouches
   for the object it was written with: a client that writes other bytes may keep it.

The truth table. Several claims are ``same`` only when all of them are::

    store's checksum  claims   ETag as proven  never proven  another than proven
    differs           any      ``*``           ``*``         ``*``
    same              any      ``=``           ``=``         ``=``
    none              same     ``=``           ``=``         ``*`` the claim does not count
    none              differ   ``=``           ``*``         ``*``
    none              none     ``=``           ``!``         ``!``

There are two exceptions. A verification of an upload gives ``*`` in every row for a
``source-sha256`` that differs, because the upload itself wrote it. The bytes of a download come
from the object itself: in every row they are right when they agree with one of its claims, and in
the last column claims that differ do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

PROVEN, UNPROVEN, REPLACED = "as proven", "never proven", "another than proven"  # kinds of ETag
PROOF, LISTING = "proof", "listing"  # evidence other than a checksum
SHA256 = "SHA256"  # the name of the checksum of S3 itself
SOURCE_SHA256 = "source-sha256"  # user metadata: SHA-256 of the whole file, hex (seed: HCA)


class Word(NamedTuple):
    """Whether the checksum ``name`` says that the bytes are the same."""

    name: str
    same: bool


class Verdict(NamedTuple):
    """Whether two sides hold the same bytes; None when nothing decides. ``by`` names the evidence
    that decided, ``against`` a claim that contradicts it; each is ``""`` where there is none."""

    same: bool | None
    by: str = ""
    against: str = ""

    @property
    def reason(self) -> str:
        """The verdict in words; ``""`` when there is none."""
        if self.same is None:
            return ""
        if self.by == REPLACED:
            return f"its ETag is another than the proven one, so its {self.against} does not count"
        if self.by == LISTING:
            return "replaced or removed since the listing"
        sha256 = self.by in ("", PROOF, SHA256, SOURCE_SHA256)
        if self.same:
            text = "same SHA-256" if sha256 else f"same {self.by}"
            return f"{text}; its {self.against} is wrong" if self.against else text
        if self.against:
            how = f"its {self.against} is that of the file, but its {self.by} is not"
            return f"SHA-256 differs: {how}"
        return "SHA-256 differs" if sha256 else f"SHA-256 differs: its {self.by} is another"


def same_bytes(etag: str, store: Word | None, claims: Iterable[Word]) -> Verdict:
    """The truth table of this module; ``etag`` is PROVEN, UNPROVEN or REPLACED."""
    claims = sorted(claims, key=lambda word: (word.same, word.name != SOURCE_SHA256))
    claim = claims[0] if claims else None  # one that differs, if there is one
    if store is not None:
        same, by = store.same, store.name
    elif etag == PROVEN:
        same, by = True, PROOF
    elif claim is None:
        return Verdict(None)
    elif claim.same and etag == REPLACED:
        same, by = False, REPLACED
    else:
        same, by = claim.same, claim.name
    if Word(SOURCE_SHA256, same) in claims:
        by = SOURCE_SHA256  # stronger than most checksums that a store computes
    against = next((word.name for word in claims if word.same != same), "")
    return Verdict(same, by, against)


def by_proof(proven: str, sha256: str) -> Verdict:
    """The verdict on a file with this SHA-256 (hex) and an object whose ETag is proven. ``proven``
    is the proven SHA-256 (hex) of the object."""
    return Verdict(proven == sha256, PROOF)
