"""The two sides of a transfer: what the walk of the folder and the listing of the bucket find."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from waybill.inventory.walk import Tree, Walk
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.model.selection import Selection
from waybill.model.target_names import limits, refusals
from waybill.presets import registry
from waybill.results.layout import Layout
from waybill.results.published import is_published

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


# Stands for the path of an object whose key is the prefix itself: that path is empty.
ITSELF = "./"

# Lists the objects of the transfer. The argument: paths that are likely to be among them.
Listing = Callable[[Collection[str]], Iterable[RemoteEntry]]


@dataclass(slots=True)
class Sides:
    """The entries that are to be moved, as each side has them.

    ``paths`` are the sorted paths of the entries at the source, ``sizes`` their sizes in bytes.
    ``local`` and ``remote`` map these paths to the entries that each side has. ``only_there`` are
    the (path, size) of entries that only the destination has. ``held``, ``skipped`` and ``refused``
    map a path to a reason. ``overdue`` maps what was held back for too long, such as a bin of an
    instrument, to a message. Only ``refused`` and ``overdue`` are failures. ``published`` are the
    keys of published manifests. ``unmatched`` counts the entries of the source that no pattern
    selects.
    """

    paths: list[str]
    sizes: list[int]
    local: dict[str, LocalEntry]
    remote: dict[str, RemoteEntry]
    only_there: list[tuple[str, int]]
    held: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    overdue: dict[str, str] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)
    unmatched: int = 0

    def hold(self, chosen: Callable[[str], bool], reason: str) -> None:
        """Hold back the entries whose paths are ``chosen``."""
        self.leave_out(held={path: reason for path in self.paths if chosen(path)})

    def leave_out(
        self,
        *,
        held: Mapping[str, str] | None = None,
        skipped: Mapping[str, str] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        """Hold back, skip or refuse the entries at these paths, each for its reason."""
        out: set[str] = set()
        for kept, reasons in ((self.held, held), (self.skipped, skipped), (self.refused, refused)):
            kept |= reasons or {}
            out |= (reasons or {}).keys()
        if not out:
            return
        stay = [pair for pair in zip(self.paths, self.sizes, strict=True) if pair[0] not in out]
        self.paths, self.sizes = [path for path, _ in stay], [size for _, size in stay]


def of_upload(transfer: Transfer, layout: Layout, listing: Listing) -> Sides:
    """The files of the source folder, and the objects at the destination.

    Raises WaybillError when either side cannot be listed as a whole.
    """
    tree = _walk(transfer, layout, prefix_bytes=len(transfer.prefix.encode()), settle=True)
    # A manifest that was downloaded beside the data is not data.
    local = {e.path: e for e in tree.entries if not is_published(transfer, e.path)}
    sides = Sides(
        list(local), [e.size for e in local.values()], local, {}, [],
        tree.held, tree.skipped, tree.refused, unmatched=tree.unmatched,
    )  # fmt: skip
    for entry in listing(local):
        if entry.path in local:
            sides.remote[entry.path] = entry
        elif is_published(transfer, entry.path):
            sides.published.add(transfer.prefix + entry.path)
        elif entry.size or not (entry.path or ITSELF).endswith("/"):  # not a console folder
            sides.only_there.append((entry.path or ITSELF, entry.size))
    registry.get(transfer.preset).hold(transfer, sides)
    return sides


def of_download(transfer: Transfer, layout: Layout, listing: Listing) -> Sides:
    """The selected objects of the source, and the files of the destination folder.

    A key that cannot be a file at the destination is refused. An empty object whose key ends in a
    slash stands for a folder. Raises WaybillError when either side cannot be listed as a whole, or
    when the destination is in a Git work tree and must not be.
    """
    if repository := work_tree(transfer):
        raise WaybillError(
            f"{transfer.folder}: the destination is in the Git work tree {repository}; take a"
            " folder outside of it (in a configuration, allow_git_worktree = true allows it)",
            exit_code=EXIT_CONFIG,
        )
    sides = Sides([], [], {}, {}, [])
    before = _settle_before(transfer)
    selection = transfer.selection
    wanted: dict[str, RemoteEntry] = {}
    tree = _walk(transfer, layout) if transfer.folder.exists() else Tree()
    found = {entry.path: entry for entry in tree.entries}
    for entry in listing(found):
        if is_published(transfer, entry.path):
            sides.published.add(transfer.prefix + entry.path)
        elif not entry.path:
            if entry.size and _is_selected(selection, ITSELF):
                text = "the key is the prefix itself, ends in a slash and holds bytes"
                sides.refused[ITSELF] = f"{transfer.url}: {text}"
        elif not _is_selected(selection, entry.path):
            sides.unmatched += 1
        elif entry.path.endswith("/") and entry.size:
            sides.refused[entry.path] = "the key ends in a slash but holds bytes"
        elif before is not None and entry.mtime_ns > before:
            sides.held[entry.path] = "modified too recently (settle)"
        else:
            wanted[entry.path] = entry
    in_the_way = {
        path: f"{reason}; it stands at the destination"
        for reasons in (tree.skipped, tree.refused)
        for path, reason in reasons.items()
        if path in wanted
    }
    sides.refused |= in_the_way | refusals(
        wanted,
        root=os.fspath(transfer.folder),
        files=found.keys(),
        folders=tree.folders,
        limits=limits(transfer.folder),
    )
    for path in sorted(wanted.keys() - sides.refused.keys()):
        entry = sides.remote[path] = wanted[path]
        sides.paths.append(path)
        sides.sizes.append(entry.size)
        if path in found:
            sides.local[path] = found[path]
        elif path.endswith("/") and path[:-1] in tree.folders:
            sides.local[path] = LocalEntry(path, 0, entry.mtime_ns, 0)
    known = sides.remote.keys() | sides.refused.keys() | sides.held.keys()
    sides.only_there += [(e.path, e.size) for e in tree.entries if e.path not in known]
    return sides


def _is_selected(selection: Selection, path: str) -> bool:
    if not path.endswith("/"):
        return selection.matches(path)
    return selection.matches(path[:-1]) and not selection.excludes_folder(path[:-1])


def _settle_before(transfer: Transfer) -> int | None:
    return time.time_ns() - int(transfer.settle * 1e9) if transfer.settle else None


def _walk(
    transfer: Transfer, layout: Layout, *, prefix_bytes: int = 0, settle: bool = False
) -> Tree:
    walk = Walk(
        transfer.folder,
        transfer.selection,
        side="source" if transfer.direction == "upload" else "destination",
        symlinks=transfer.symlinks,
        settle_before=_settle_before(transfer) if settle else None,
        prefix_bytes=prefix_bytes,
        avoid=own_folders(layout),
    )
    return walk.tree()


def own_folders(layout: Layout) -> frozenset[tuple[int, int]]:
    """The folders that Waybill itself writes to, as (device, inode). They may lie inside the folder
    of a transfer, but they are never data."""
    own = [layout.root.parent, Path(".snakemake")]
    there = [status for folder in own if (status := _stat(folder))]
    return frozenset((status.st_dev, status.st_ino) for status in there)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def work_tree(transfer: Transfer) -> Path | None:
    """The Git work tree that the destination is in; None when it is in none, or when that is
    allowed. The seed sync_from_s3 promises that data never enters a code repository."""
    if transfer.allow_git_worktree:
        return None
    folder = transfer.folder.resolve()
    return next((p for p in (folder, *folder.parents) if (p / ".git").exists()), None)
