"""Batches: divides the entries of a dataset among jobs, so that a new file changes few batches.

The sorted paths are cut, again and again, in front of the path with the smallest hash, until
every piece keeps both limits. The cuts form a treap over the paths (keys: the paths' order,
priorities: their hashes), so a new path either lands inside one piece, or becomes a cut itself
and touches only the piece that now ends at it and the piece that starts at it. Adding one file
therefore changes at most two batches, unless its own bytes overflow the piece it falls into.
An entry of at least ``ALONE_BYTES`` is a batch of its own.

A batch is named after the path it begins with: a letter, the end of the path, and hex digits of the
path's hash, ``f.gut_fetal_10x.h5ad.3f2a91c0``. Letters that a shell or Snakemake would mind are
replaced. The first letter says what the batch is: ``f`` a single entry, ``b`` several. Entries that
must move before or after all others are in separate batches, with ``a`` for first and ``z`` for
last. First entries are tried before all others are tried. Last entries wait until all others are
proven.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

ALONE_BYTES = 1 << 30
_MOST_LETTERS = 64  # of a path in the name of a batch
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Batch(NamedTuple):
    """One batch: its name, and the entries' indices in the sorted dataset."""

    name: str
    indices: Sequence[int]


def path_hash(path: str) -> bytes:
    """The hash (8 bytes) that decides where ``path`` cuts. Another hash would change every batch,
    so it must stay the same."""
    return blake2b(path.encode("utf-8"), digest_size=8).digest()


def assign(
    paths: Sequence[str], sizes: Sequence[int], *, max_files: int, max_bytes: int, letter: str = ""
) -> list[Batch]:
    """Batches of the sorted ``paths`` with their ``sizes`` in bytes, in the order of the paths.

    No batch holds more than ``max_files`` entries or ``max_bytes`` bytes, except the batch of a
    single entry that is larger by itself. The names begin with ``letter`` instead of ``f`` or
    ``b``, if it is given.
    """
    most = min(max_bytes, ALONE_BYTES)
    large = [i for i, size in enumerate(sizes) if size >= most]
    alone = set(large)
    small = [i for i in range(len(paths)) if i not in alone] if alone else range(len(paths))
    hashes = [path_hash(paths[i]) for i in small]
    total = [0, *accumulate(sizes[i] for i in small)]

    groups: list[Sequence[int]] = [(i,) for i in large]
    pieces = [(0, len(small), 0)]  # first, end, and the first candidate for a cut
    while pieces:
        first, end, candidate = pieces.pop()
        if end - first <= max_files and total[end] - total[first] <= max_bytes:
            if end > first:
                groups.append(small[first:end])
            continue
        cut = hashes.index(min(hashes[candidate:end]), candidate, end)
        pieces.append((first, cut, candidate))
        pieces.append((cut, end, cut + 1))
    groups.sort(key=lambda indices: indices[0])
    return _named(groups, paths, letter)


def _named(groups: list[Sequence[int]], paths: Sequence[str], letter: str) -> list[Batch]:
    """The batches with their names. Two batches whose names would be equal get all digits."""

    def name(indices: Sequence[int], digits: int) -> str:
        path = paths[indices[0]]
        kind = letter or ("f" if len(indices) == 1 else "b")
        return f"{kind}.{_UNSAFE.sub('_', path[-_MOST_LETTERS:])}.{path_hash(path).hex()[:digits]}"

    short = [name(indices, 8) for indices in groups]
    times = Counter(short)
    return [
        Batch(text if times[text] == 1 else name(indices, 16), indices)
        for text, indices in zip(short, groups, strict=True)
    ]


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
            letter=letter,
        ):
            batches.append(Batch(name, [indices[i] for i in chosen]))
    return batches


def is_first(batch: str) -> bool:
    """Whether the entries of a batch are tried before all others."""
    return batch[0] == "a"


def is_last(batch: str) -> bool:
    """Whether the entries of a batch wait until all others are proven."""
    return batch[0] == "z"
