"""The trees of files that are moved: made once by seed, the same everywhere, not compressible."""

from __future__ import annotations

import datetime
import filecmp
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

KIB, MIB = 1 << 10, 1 << 20
MTIME = 1_704_067_200  # 2024-01-01, of every file
SAMPLE_FILES, SAMPLE_BYTES = 5_000, 512 * MIB  # whose content is compared after a transfer
_FORMAT = 1  # to be raised when what is made changes

WORDS = {
    "W1": "5,000 files of 8 KiB",
    "W2": "4 files of 512 MiB",
    "W3": "3,000 files, lognormal around a median of 100 KiB, and 6 of 50 MiB",
    "W4": "100,000 files of 4 KiB as an IFCB writes them: bins of three files, a folder a day",
    "W4-10k": "the first 10,000 files of W4",
}


class Tree(NamedTuple):
    """A workload on disk: its folder, and path below it -> bytes."""

    name: str
    folder: Path
    sizes: dict[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


def sizes(name: str, scale: float = 1.0, seed: int = 1) -> dict[str, int]:
    """Path -> bytes of a workload; ``scale`` divides how many files there are, or how large the
    few large ones are."""

    def scaled(count: int) -> int:
        return max(1, round(count * scale))

    if name == "W1":
        return {f"{i // 1000:03}/{i:05}.bin": 8 * KIB for i in range(scaled(5_000))}
    if name == "W2":
        return {f"{i}.bin": scaled(512 * MIB) for i in range(4)}
    if name == "W3":
        drawn = random.Random(f"{seed}/W3")
        found = {
            f"{i // 500:02}/{i:04}.bin": min(
                20 * MIB, round(drawn.lognormvariate(0, 1) * 100 * KIB)
            )
            for i in range(scaled(3_000))
        }
        return found | {f"large/{i}.bin": scaled(50 * MIB) for i in range(6)}
    if name in ("W4", "W4-10k"):
        count = scaled(100_000 if name == "W4" else 10_000)
        return dict.fromkeys(_bins(count), 4 * KIB)
    raise ValueError(f"no workload {name}; there are {', '.join(WORDS)}")


def _bins(count: int) -> list[str]:
    """``count`` paths of bins, 20 minutes apart; what is over are bins without a .roi."""
    found: list[str] = []
    time = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    while len(found) < count:
        stem = f"D{time:%Y}/D{time:%Y%m%d}/D{time:%Y%m%dT%H%M%S}_IFCB123"
        rest = count - len(found)
        suffixes = ("adc", "hdr") if rest in (2, 4) else ("adc", "hdr", "roi")
        found += [f"{stem}.{suffix}" for suffix in suffixes][:rest]
        time += datetime.timedelta(minutes=20)
    return found


def make(base: Path, name: str, scale: float = 1.0, seed: int = 1) -> Tree:
    """The workload below ``base``; one that is whole already is left as it is."""
    tree = Tree(name, base / f"{name}-{scale:g}", sizes(name, scale, seed))
    made, key = base / f"{name}-{scale:g}.json", json.dumps([_FORMAT, name, scale, seed])
    if made.exists() and made.read_text() == key and _untouched(tree):
        return tree
    made.unlink(missing_ok=True)
    shutil.rmtree(tree.folder, ignore_errors=True)
    for folder in sorted({(tree.folder / path).parent for path in tree.sizes}):
        folder.mkdir(parents=True)
    for path, size in tree.sizes.items():
        _write(tree.folder / path, size, f"{seed}/{name}/{path}")
    made.write_text(key)
    return tree


def _write(path: Path, size: int, seed: str) -> None:
    drawn = random.Random(seed)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(drawn.randbytes(min(MIB, size - start)))
    os.utime(path, (MTIME, MTIME))


def _untouched(tree: Tree) -> bool:
    found = dict(walk(tree.folder))
    return {p: s.st_size for p, s in found.items()} == tree.sizes and all(
        s.st_mtime == MTIME for s in found.values()
    )


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below ``folder``, as its path there, and what the system knows of it."""
    open_ = [(str(folder), "")]
    while open_:
        where, prefix = open_.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    open_.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name, entry.stat(follow_symlinks=False)


@contextmanager
def one_changed(tree: Tree) -> Iterator[str]:
    """Meanwhile one file has other bytes of the same size and is of now; gives its path."""
    path = sorted(tree.sizes)[len(tree.sizes) // 2]
    file = tree.folder / path
    before = file.read_bytes()
    file.write_bytes(bytes(b ^ 0xFF for b in before))
    try:
        yield path
    finally:
        file.write_bytes(before)
        os.utime(file, (MTIME, MTIME))


def difference(tree: Tree, folder: Path, leave_out: str = "") -> str:
    """What is wrong with the copy in ``folder``, in words; empty when nothing is.

    All names and sizes are compared, and the content of files evenly drawn from all. Paths that
    begin with ``leave_out`` do not count.
    """
    if not folder.is_dir():
        return "nothing has arrived"
    copy = {
        path: stat.st_size
        for path, stat in walk(folder)
        if not (leave_out and path.startswith(leave_out))
    }
    if missing := tree.sizes.keys() - copy.keys():
        return f"{len(missing):,} of {len(tree.sizes):,} files are missing, as {min(missing)}"
    if foreign := copy.keys() - tree.sizes.keys():
        return f"{len(foreign):,} files too many, as {min(foreign)}"
    if wrong := [path for path, size in tree.sizes.items() if copy[path] != size]:
        return f"{len(wrong):,} files have another size, as {wrong[0]}"
    step = max(1, len(tree.sizes) // SAMPLE_FILES, tree.bytes // SAMPLE_BYTES)
    for path in sorted(tree.sizes)[::step]:
        if not filecmp.cmp(tree.folder / path, folder / path, shallow=False):
            return f"{path} has another content"
    return ""
