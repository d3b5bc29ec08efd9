"""Keys as names of files: which keys can become files in a folder, without leaving the folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_PARTIAL = re.compile(r"\.waybill-[0-9a-f]{16}\.part")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")  # a path of Windows; X:1-2.vcf is a name
_SUSPECT = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|\x00|^[A-Za-z]:[/\\]|\.waybill-")


def partial_name(name: str) -> str:
    """The name, in the same folder, under which ``name`` is downloaded."""
    return f".waybill-{blake2b(name.encode(), digest_size=8).hexdigest()}.part"


def is_partial(name: str) -> bool:
    """Whether a file name is that of an unfinished download."""
    return name.startswith(".waybill-") and bool(_PARTIAL.fullmatch(name))


class Limits(NamedTuple):
    """What the destination's file system can hold: bytes of a name and of a whole path, and
    whether names that differ in case are one."""

    name_bytes: int = 255
    path_bytes: int = 4095
    folds_case: bool = False


def limits(folder: Path) -> Limits:
    """The limits of the file system that ``folder`` is on or will be on; nothing is written."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    name_bytes = os.pathconf(existing, "PC_NAME_MAX")
    path_bytes = os.pathconf(existing, "PC_PATH_MAX") - 1
    return Limits(name_bytes, path_bytes, _folds_case(existing))


def _folds_case(existing: Path) -> bool:
    """Whether the file system takes two names that differ only in case for the same name. It is
    found out with names that are there: some in the folder, and those of the folders above. False
    on an empty file system; the second of two such files is then refused when it is written."""
    device = existing.stat().st_dev
    candidates: list[Path] = []
    with suppress(PermissionError):  # a folder may be used without being listed
        candidates += islice(existing.iterdir(), 100)
    for path in (existing, *existing.parents):
        if path.stat().st_dev != device or path.is_mount():
            break
        candidates.append(path)
    for path in candidates:
        other = path.with_name(path.name.swapcase())
        if other.name != path.name and path.exists():
            return other.exists() and os.path.samestat(other.lstat(), path.lstat())
    return False


def refusals(
    paths: Iterable[str],
    *,
    root: str,
    files: Collection[str],
    folders: Collection[str],
    limits: Limits,
) -> dict[str, str]:
    """The ``paths`` (keys relative to the prefix) that cannot be files below ``root``, and why.

    ``files`` and ``folders`` are the existing paths, relative to ``root``; folders have no slash at
    the end. A path in ``paths`` that ends in ``/`` stands for a folder.
    """
    paths = list(paths)
    refused: dict[str, str] = {}
    wanted_folders: set[str] = set()
    for path in paths:
        if reason := _unsafe(path) or _too_long(path, root, limits):
            refused[path] = reason
            continue
        folder = path.rpartition("/")[0]
        while folder and folder not in wanted_folders:
            wanted_folders.add(folder)
            folder = folder.rpartition("/")[0]
    in_the_way = {folder for folder in wanted_folders if folder in files}
    for path in paths:
        if path in refused:
            continue
        if path in wanted_folders:
            refused[path] = "a file cannot stand here: other keys make it a folder"
        elif path in folders:
            refused[path] = "a folder of this name stands in the destination"
        elif in_the_way and (parent := next(iter(_parents(path) & in_the_way), None)):
            refused[path] = f"the destination has a file where a folder must be: {parent}"
    if limits.folds_case:
        refused |= _same_file(path for path in paths if path not in refused)
    return refused


def _unsafe(path: str) -> str:
    """Why a path would not be a file below the destination, or ``""``."""
    name = path[:-1] if path.endswith("/") else path
    if not _SUSPECT.search(name):
        return ""
    if "\0" in name:
        return "the key holds a NUL, which no file name can"
    if name.startswith("/"):
        return "the key starts with a slash: it would leave the destination"
    if _DRIVE.match(name):
        return "the key starts with a drive letter: it would leave the destination"
    parts = name.split("/")
    if ".." in parts:
        return 'the key holds "..": it would leave the destination'
    if any(map(is_partial, parts)):
        return "the key has the name of an unfinished download; remove the object or exclude it"
    if {"", "."} & set(parts):
        return 'the key has an empty folder name or "." in it, which a file system does not keep'
    return ""


def _too_long(path: str, root: str, limits: Limits) -> str:
    if len(path) * 4 + len(root) * 4 < min(limits.name_bytes, limits.path_bytes):
        return ""
    longest = max(len(os.fsencode(part)) for part in path.split("/"))
    if longest > limits.name_bytes:
        return f"a name of {longest} bytes; the destination takes {limits.name_bytes}"
    whole = len(os.fsencode(root)) + 1 + len(os.fsencode(path))
    if whole > limits.path_bytes:
        return f"the path would have {whole} bytes; the destination takes {limits.path_bytes}"
    return ""


def _parents(path: str) -> set[str]:
    parts = path.rstrip("/").split("/")
    found = {"/".join(parts[:i]) for i in range(1, len(parts))}
    return found | {path.rstrip("/")} if path.endswith("/") else found


def _same_file(paths: Iterable[str]) -> dict[str, str]:
    """The paths that would be one file where case does not count."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
        groups.setdefault(folded, []).append(path)
    return {
        path: "falls on one file with " + ", ".join(repr(p) for p in group if p != path)
        for group in groups.values()
        if len(group) > 1
        for path in group
    }
