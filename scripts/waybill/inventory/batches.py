"""Batches: divides the entries of a dataset among jobs, so that a new file changes few batches.

The sorted paths are cut, again and again, in front of the path with the smallest hash, until
every piece keeps both limits. The cuts form a treap over the paths (keys: the paths' order,
priorities: their hashes), so a new path either lands inside one piece, or becomes a cut itself
and touches only the piece that now ends at it and the piece that starts at it. Adding one file
therefore changes at most two batches, unless its own bytes overflow the piece it falls into.
A batch is named after the path it was cut in front of. An entry of at least ``max_bytes`` is a
batch of its own, named after its own path.

Entries that must move before or after all others are in separate batches. The first letter of a
batch's name says which it is: ``a`` for first, ``z`` for last, ``b`` and ``f`` (a single large
entry) for all others. First entries are tried before all others are tried. Last entries wait until
all others are proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

START = "b" + "0" * 16  # the first batch of a dataset: there is no cut in front of it


class Batch(NamedTuple):
    """One batch: its name, and the entries' indices in the sorted dataset."""

    name: str
    indices: Sequence[int]


def path_hash(path: str) -> bytes:
    """The hash (8 bytes) that decides where ``path`` cuts. Another hash would change every batch,
    so it must stay the same."""
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


def assign_in_order(
    paths: Sequence[str],
    sizes: Sequence[int],
    *,
    max_files: int,
    max_bytes: int,
    first: Callable[[str], bool] | None,
    last: Callable[[str], bool] | None,
) -> list[Batch]:
    """Batches as ``assign`` makes them. The paths that ``first`` chooses are in separate batches;
    so are those that ``last`` and not ``first`` chooses."""
    if first is None and last is None:
        return assign(paths, sizes, max_files=max_files, max_bytes=max_bytes)
    groups: dict[str, list[int]] = {"a": [], "": [], "z": []}
    for i, path in enumerate(paths):
        group = "a" if first and first(path) else "z" if last and last(path) else ""
        groups[group].append(i)
    batches = []
    for letter, indices in groups.items():
        for name, chosen in assign(
            [paths[i] for i in indices],
            [sizes[i] for i in indices],
            max_files=max_files,
            max_bytes=max_bytes,
        ):
            name = letter + name[1:] if letter else name
            batches.append(Batch(name, [indices[i] for i in chosen]))
    return batches


def is_first(batch: str) -> bool:
    """Whether the entries of a batch are tried before all others."""
    return batch[0] == "a"


def is_last(batch: str) -> bool:
    """Whether the entries of a batch wait until all others are proven."""
    return batch[0] == "z"
