"""Inventory: both sides of a transfer, put into batches; runs at every start.

A batch's tables are rewritten only when its files changed, or when the listing contradicts its
marker. An untouched tree therefore ends here, and drift in the bucket is repaired.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from waybill import batches as batching
from waybill import failures, journal, marker, state
from waybill.entries import LocalEntry, RemoteEntry, read_local, render_local, render_remote
from waybill.failures import Failure
from waybill.layout import Layout
from waybill.marker import Proof
from waybill.presets import dataset_name
from waybill.published import is_published, known_sha256, published_key
from waybill.tables import escape, render, write_if_changed
from waybill.walk import Tree, Walk

if TYPE_CHECKING:
    from waybill.config import Transfer
    from waybill.control import Control

ASIDE_COLUMNS = ("status", "path", "size", "reason")


@dataclass(slots=True)
class Remote:
    """The listing, seen from the local tree: the entries both sides have, and the others."""

    both: dict[str, RemoteEntry]
    only: list[RemoteEntry]
    published: set[str]


def run(transfer: Transfer, layout: Layout, control: Control) -> state.State:
    """Take the inventory of an upload and return what it saw.

    Raises WaybillError when either side cannot be listed as a whole; the tables of the last
    inventory then stand as they were.
    """
    dataset = dataset_name(transfer.preset, transfer.name, transfer.hca)
    tree = _walk(transfer, layout)
    paths = {entry.path for entry in tree.entries}
    before = state.read(layout)
    now = state.State(destination=transfer.url, source=str(transfer.folder))
    for path in layout.journal(dataset, "-").parent.glob("*.jsonl"):
        journal.mark_listing(path, now.run)
    remote = _split(control.list_prefix(), paths, transfer)

    now.accelerate = control.accelerates()
    now.datasets = [dataset] if tree.entries else []
    update = _Update(layout, dataset, before, now, transfer, control, remote)
    update.run(tree)
    _forget_datasets(layout, {dataset})

    now.files = len(tree.entries)
    now.bytes = sum(entry.size for entry in tree.entries)
    now.held, now.skipped, now.refused = len(tree.held), len(tree.skipped), len(tree.refused)
    now.only_at_destination = len(remote.only)
    write_if_changed(layout.aside(dataset), _render_aside(tree, remote))
    failures.write(
        failures.record_path(layout, "inventory"),
        [Failure(path, 1, f"refused: {reason}") for path, reason in sorted(tree.refused.items())],
    )
    for stage in ("upload", "manifest", "publish", "summary"):  # what earlier runs failed at
        for record in layout.failures.glob(f"{stage}.*"):
            record.unlink(missing_ok=True)
    state.write(layout, now)
    return now


def _walk(transfer: Transfer, layout: Layout) -> Tree:
    settle_before = None
    if transfer.settle:
        settle_before = time.time_ns() - int(transfer.settle * 1e9)
    own = [layout.root.parent, Path(".snakemake")]
    identities = [status for folder in own if (status := _stat(folder))]
    walk = Walk(
        transfer.folder,
        transfer.selection,
        symlinks=transfer.symlinks,
        settle_before=settle_before,
        prefix_bytes=len(transfer.prefix.encode()),
        avoid=frozenset((status.st_dev, status.st_ino) for status in identities),
    )
    tree = walk.tree()
    # A manifest that was downloaded beside the data is not data.
    tree.entries = [e for e in tree.entries if not is_published(transfer, e.path)]
    return tree


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _split(listing: Iterable[RemoteEntry], paths: set[str], transfer: Transfer) -> Remote:
    remote = Remote({}, [], set())
    for entry in listing:
        if entry.path in paths:
            remote.both[entry.path] = entry
        elif is_published(transfer, entry.path):
            remote.published.add(transfer.prefix + entry.path)
        elif entry.path and not entry.path.endswith("/"):
            remote.only.append(entry)
    return remote


def _render_aside(tree: Tree, remote: Remote) -> bytes:
    def lines() -> Iterator[str]:
        for path, reason in sorted(tree.refused.items()):
            yield f"!\t{escape(path)}\t\trefused: {escape(reason)}"
        for path, reason in sorted(tree.held.items()):
            yield f"!\t{escape(path)}\t\theld back: {escape(reason)}"
        for path, reason in sorted(tree.skipped.items()):
            yield f"!\t{escape(path)}\t\tskipped: {escape(reason)}"
        for entry in remote.only:
            yield f"-\t{escape(entry.path)}\t{entry.size}\tonly at the destination"

    return render(ASIDE_COLUMNS, lines())


@dataclass(slots=True)
class _Update:
    """Brings the batch tables of one dataset up to what both sides hold now."""

    layout: Layout
    dataset: str
    before: state.State
    now: state.State
    transfer: Transfer
    control: Control
    remote: Remote

    def run(self, tree: Tree) -> None:
        new = {
            batch.name: [tree.entries[i] for i in batch.indices]
            for batch in batching.assign(
                [e.path for e in tree.entries],
                [e.size for e in tree.entries],
                max_files=self.transfer.max_files,
                max_bytes=self.transfer.max_bytes,
            )
        }
        old = {batch for dataset, batch in self.layout.batches() if dataset == self.dataset}
        moved = self.before.destination not in ("", self.transfer.url)
        pending: dict[str, list[LocalEntry]] = {}
        for name, entries in new.items():
            path = self.layout.local(self.dataset, name)
            changed = _differs(path, render_local(entries))
            if changed or moved or not (self._has_tables(name) and self._proven(name, entries)):
                pending[name] = entries
        self._inherit(pending, old - set(new))
        known = self._known_sha256(pending, set() if moved else old)
        for name, entries in pending.items():
            self._refresh(name, entries, known)
        for name in old - set(new):
            self._forget(name)
        self._drop_history(keep=pending)
        self.now.batches = len(new)
        self.now.open = sorted(f"{self.dataset}/{name}" for name in pending)
        self._reopen(new, complete=not pending and old <= new.keys())

    def _has_tables(self, name: str) -> bool:
        layout, dataset = self.layout, self.dataset
        return layout.checksums(dataset, name).exists() and layout.diff(dataset, name).exists()

    def _proven(self, name: str, entries: list[LocalEntry]) -> bool:
        """Whether the marker holds every entry as it is now, and the listing agrees with it."""
        prefix = self.transfer.prefix
        both = self.remote.both
        try:
            proofs = list(marker.read(self.layout.marker(self.dataset, name)))
        except FileNotFoundError:
            return False
        return len(proofs) == len(entries) and all(
            (proof.path, proof.size, proof.mtime_ns) == entry[:3]
            and proof.key == prefix + proof.path
            and (there := both.get(proof.path)) is not None
            and (there.size, there.etag) == (proof.size, proof.etag)
            for proof, entry in zip(proofs, entries, strict=True)
        )

    def _inherit(self, pending: dict[str, list[LocalEntry]], gone: set[str]) -> None:
        """Note where entries that changed their batch stood before, for cache and journal."""
        standing: dict[str, str] = {}
        for name in gone | pending.keys():
            try:
                for entry in read_local(self.layout.local(self.dataset, name)):
                    standing[entry.path] = name
            except FileNotFoundError:
                continue
        for name, entries in pending.items():
            sources = {standing[e.path] for e in entries if e.path in standing}
            sources.update(self.before.inherits.get(f"{self.dataset}/{name}", ()))
            if sources := sources - {name}:
                self.now.inherits[f"{self.dataset}/{name}"] = sorted(sources)

    def _known_sha256(self, pending: dict[str, list[LocalEntry]], old: set[str]) -> dict[str, str]:
        """SHA-256 of objects by path, known without a request each: from markers, journals and
        the manifest published last, wherever size and etag still agree with the listing."""
        both = self.remote.both
        wanted = {
            e.path for entries in pending.values() for e in entries
            if e.path in both and both[e.path].size == e.size
        }  # fmt: skip
        known: dict[str, str] = {}
        if not wanted:
            return known
        for proof in self._proofs(old):
            there = both.get(proof.path)
            if there and (there.size, there.etag) == (proof.size, proof.etag) and proof.sha256:
                known[proof.path] = proof.sha256
        if not wanted <= known.keys():
            published = known_sha256(self.transfer, self.control, self.remote.published)
            for path in wanted - known.keys():
                size, etag, sha256 = published.get(path, (-1, "", ""))
                if both[path].size == size and both[path].etag == etag:
                    known[path] = sha256
        return known

    def _proofs(self, names: set[str]) -> Iterator[Proof]:
        """What markers and journals of the batches tell."""
        for name in names:
            proven = self.layout.marker(self.dataset, name)
            kept = self.layout.kept_marker(self.dataset, name)
            yield from marker.read_if_any(proven if proven.exists() else kept)
            finished = journal.read([self.layout.journal(self.dataset, name)]).done
            yield from (proof for _, proof in finished.values())

    def _refresh(self, name: str, entries: list[LocalEntry], known: dict[str, str]) -> None:
        """Bring a batch's tables up to date, and remove what no longer follows from them.

        What is removed goes first, the marker before all: a kill in between leaves a batch that
        is still seen to be open.
        """
        layout, dataset = self.layout, self.dataset
        both = self.remote.both
        local = render_local(entries)
        there = [both[e.path] for e in entries if e.path in both]
        remote = render_remote(e._replace(sha256=known.get(e.path, "")) for e in there)
        layout.marker(dataset, name).unlink(missing_ok=True)
        checksums, diff = layout.checksums(dataset, name), layout.diff(dataset, name)
        if _differs(layout.local(dataset, name), local) or self._failed("checksum", name):
            checksums.unlink(missing_ok=True)
        differs = _differs(layout.remote(dataset, name), remote)
        if differs or not checksums.exists() or self._failed("diff", name):
            diff.unlink(missing_ok=True)
        write_if_changed(layout.local(dataset, name), local)
        write_if_changed(layout.remote(dataset, name), remote)

    def _failed(self, stage: str, name: str) -> bool:
        return failures.record_path(self.layout, stage, self.dataset, name).exists()

    def _forget(self, name: str) -> None:
        """Remove what stands for a batch that is no more."""
        layout, dataset = self.layout, self.dataset
        for path in (
            layout.local(dataset, name),
            layout.remote(dataset, name),
            layout.checksums(dataset, name),
            layout.diff(dataset, name),
            layout.marker(dataset, name),
            layout.kept_marker(dataset, name),
            failures.record_path(layout, "checksum", dataset, name),
            failures.record_path(layout, "diff", dataset, name),
            failures.record_path(layout, "upload", dataset, name),
        ):
            path.unlink(missing_ok=True)

    def _drop_history(self, keep: Iterable[str]) -> None:
        """Remove the journals whose batches are proven (the marker tells what they told), and
        the caches of batches that are no more, unless a pending batch inherits from them."""
        inherited = {name for names in self.now.inherits.values() for name in names}
        for path in self.layout.journal(self.dataset, "-").parent.glob("*.jsonl"):
            if path.stem not in inherited and path.stem not in keep:
                path.unlink(missing_ok=True)
        for path in self.layout.cache(self.dataset, "-").parent.glob("*.tsv"):
            if (
                path.stem not in inherited
                and not self.layout.local(self.dataset, path.stem).exists()
            ):
                path.unlink(missing_ok=True)

    def _reopen(self, names: Iterable[str], *, complete: bool) -> None:
        """Remove what stands for the whole dataset and holds no longer, down to the summary;
        ``complete`` tells that the batches of the manifest are those of now, all proven.

        Snakemake makes a missing file only for the sake of one that is missing after it, and it
        takes a table that came back to an earlier content for one it has seen. A published
        manifest that is gone from the bucket is published again.
        """
        layout, dataset = self.layout, self.dataset
        manifest, publication = layout.manifest(dataset), layout.publication(dataset)
        if not complete:
            manifest.unlink(missing_ok=True)
        if not manifest.exists():
            publication.unlink(missing_ok=True)
        elif self.transfer.publish_prefix:
            key = published_key(publication)
            if key and not self._is_published(key):
                publication.unlink()
        if not all(layout.diff(dataset, name).exists() for name in names):
            layout.plan.unlink(missing_ok=True)
        last = publication if self.transfer.publish_prefix else manifest
        if not (layout.plan.exists() and last.exists()):
            layout.summary.unlink(missing_ok=True)

    def _is_published(self, key: str) -> bool:
        """Whether this manifest is in the bucket; asked only where the listing does not tell."""
        if key.startswith(self.transfer.prefix):
            return key in self.remote.published
        return self.control.exists(key)


def _differs(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() != data
    except FileNotFoundError:
        return True


def _forget_datasets(layout: Layout, keep: set[str]) -> None:
    """Remove the inventory tables of datasets the transfer no longer has."""
    for folder in layout.inventory.iterdir() if layout.inventory.is_dir() else ():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)
