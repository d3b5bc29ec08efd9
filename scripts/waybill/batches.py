"""Batches: which entries one job handles, so that one more file disturbs few of them.

The sorted paths are cut, again and again, in front of the path with the smallest hash, until
every piece keeps both limits. The cuts form a treap over the paths (keys: the paths' order,
priorities: their hashes), so a new path either lands inside one piece, or becomes a cut itself
and touches only the piece that now ends at it and the piece that starts at it. Adding one file
therefore changes at most two batches, unless its own bytes overflow the piece it falls into.
A batch is named after the path it was cut in front of; an entry of at least ``max_bytes`` is a
batch of its own, named after itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

START = "b" + "0" * 16  # the batch that begins a dataset has no cut in front of it


class Batch(NamedTuple):
    """One batch: its name, and the entries' indices in the sorted dataset."""

    name: str
    indices: Sequence[int]


def path_hash(path: str) -> bytes:
    """Eight bytes that decide where ``path`` cuts; frozen, or every batch would change."""
    return blake2b(path.encode("utf-8"), digest_size=8).digest()


def assign(
    paths: Sequence[str], sizes: Sequence[int], *, max_files: int, max_bytes: int
) -> list[Batch]:
    """Batches of the sorted ``paths`` with their ``sizes`` in bytes, in the order of the paths.

    No batch holds more than ``max_files`` entries or ``max_bytes`` bytes, except the batch of a
    single entry that is larger by itself.
    """
    large = [i for i, size in enumerate(sizes) if size >= max_bytes]
    alone = set(large)
    small = [i for i in range(len(paths)) if i not in alone] if alone else range(len(paths))
    hashes = [path_hash(paths[i]) for i in small]
    total = [0, *accumulate(sizes[i] for i in small)]

    batches = [Batch("f" + path_hash(paths[i]).hex(), (i,)) for i in large]
    # Each open piece: first, end, the name of its cut, and the first candidate for a cut in it.
    pieces = [(0, len(small), START, 0)]
    while pieces:
        first, end, name, candidate = pieces.pop()
        if end - first <= max_files and total[end] - total[first] <= max_bytes:
            if end > first:
                batches.append(Batch(name, small[first:end]))
            continue
        cut = hashes.index(min(hashes[candidate:end]), candidate, end)
        pieces.append((first, cut, name, candidate))
        pieces.append((cut, end, "b" + hashes[cut].hex(), cut + 1))
    return sorted(batches, key=lambda batch: batch.indices[0])
