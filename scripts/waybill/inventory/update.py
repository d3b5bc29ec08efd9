"""Updates the batch tables of a dataset to what both sides hold now.

It removes every marker, table and manifest that no longer holds; Snakemake then makes them again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waybill.inventory import batches as batching
from waybill.inventory.sides import Sides
from waybill.model.selection import Selection
from waybill.results import audit, failures, journal, manifest, marker, seals, state
from waybill.results.batch_tables import read_local, read_remote, render_local, render_remote
from waybill.results.layout import CHECKSUM_SUFFIX, Layout
from waybill.results.marker import Proof
from waybill.results.published import (
    keep,
    known_sha256,
    published_at,
    published_key,
    read_record,
    tells_of,
)
from waybill.results.seals import holds, write_if_changed

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.s3.bucket import Bucket

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Update:
    """Updates the batch tables of one dataset to what both sides hold now."""

    layout: Layout
    dataset: str
    before: state.State
    now: state.State
    place: state.Place
    transfer: Transfer
    bucket: Bucket
    sides: Sides

    def run(self) -> None:
        paths = self.sides.paths
        new = {
            batch.name: [paths[i] for i in batch.indices]
            for batch in batching.assign_in_order(
                paths,
                self.sides.sizes,
                max_files=self.transfer.max_files,
                max_bytes=self.transfer.max_bytes,
                first=_chooser(self.transfer.first),
                last=_chooser(self.transfer.last),
            )
        }
        old = self._audited()
        moved = self._moved()
        if self.before.settings != self.now.settings:
            for name in old:  # Snakemake does not track diffs that a job made with its marker
                self.layout.diff(self.dataset, name).unlink(missing_ok=True)
        pending: dict[str, list[str]] = {}
        for name, paths in new.items():
            if (
                moved
                or self._rehash(name, paths)
                or not (self._has_tables(name) and self._proven(name, paths))
            ):
                pending[name] = paths
            elif not self._uploads:
                self._show_objects(name)
        self._inherit(pending, old - set(new))
        known, replaced = self._known_sha256(pending, set() if moved else old)
        for name, paths in pending.items():
            self._refresh(name, paths, known, replaced)
        gone = old - set(new)
        # A batch whose only trace is a copy of its marker was forgotten by an earlier inventory.
        complete = not pending and not any(self._has_any_table(name) for name in gone)
        self._reopen(new, complete=complete)
        for name in gone:
            self._forget(name)
        self._drop_history(new, keep=pending)
        self._drop_file_checksums(
            {path for name in new.keys() - pending.keys() for path in new[name]}
        )
        self.place.batches = len(new)
        self.now.open += sorted(f"{self.dataset}/{name}" for name in pending)

    def _audited(self) -> set[str]:
        """The batches of earlier inventories, after an audit of each."""
        layout = self.layout
        for name in layout.traces_of(self.dataset):
            audit.batch(layout, self.dataset, name, self.before)
        return layout.traces_of(self.dataset)

    def _moved(self) -> bool:
        """Whether the bucket or the prefix has changed since the last inventory."""
        side = self.before.destination if self._uploads else self.before.source
        known = self.before.places.get(self.dataset)
        bucket = f"s3://{self.transfer.bucket}/"
        moved = bool(side) and not side.startswith(bucket)
        return moved or (known is not None and known.prefix != self.transfer.prefix)

    @property
    def _uploads(self) -> bool:
        return self.transfer.direction == "upload"

    def _rehash(self, name: str, paths: list[str]) -> bool:
        """Whether the files to upload differ from those in the local table, even if only by inode.
        False for a download: its local table shows the folder before the files came."""
        table = self.layout.local(self.dataset, name)
        return self._uploads and not holds(table, self._render_local(paths))

    def _render_local(self, paths: list[str]) -> bytes:
        local = self.sides.local
        return render_local(local[path] for path in paths if path in local)

    def _has_any_table(self, name: str) -> bool:
        layout = self.layout
        tables = (layout.checksums, layout.diff, layout.local, layout.remote, layout.marker)
        return any(table(self.dataset, name).exists() for table in tables)

    def _has_tables(self, name: str) -> bool:
        layout = self.layout
        tables = (layout.checksums, layout.diff, layout.local, layout.remote)
        return all(table(self.dataset, name).exists() for table in tables)

    def _proven(self, name: str, paths: list[str]) -> bool:
        """Whether the marker holds every entry as it is now on both sides."""
        prefix = self.transfer.prefix
        local, remote = self.sides.local, self.sides.remote
        try:
            proofs = list(marker.read(self.layout.marker(self.dataset, name)))
        except FileNotFoundError:
            return False
        return len(proofs) == len(paths) and all(
            proof.path == path
            and proof.key == prefix + path
            and (here := local.get(path)) is not None
            and proof.is_of(*here[1:])
            and (there := remote.get(path)) is not None
            and (there.size, there.etag) == (proof.size, proof.etag)
            # A file kept by its size or time alone is not proven for compare = "sha256".
            and (proof.sha256 or self.transfer.compare != "sha256" or path.endswith("/"))
            for proof, path in zip(proofs, paths, strict=True)
        )

    def _show_objects(self, name: str) -> None:
        """Update the remote table of a proven download. An object that was written again during the
        download is not the one that the listing before it showed."""
        table = self.layout.remote(self.dataset, name)
        proofs = list(marker.read(self.layout.marker(self.dataset, name)))
        if [e[:2] + e[3:4] for e in read_remote(table)] == [(p[0], p[2], p[5]) for p in proofs]:
            return
        entries = (self.sides.remote[p.path]._replace(sha256=p.sha256) for p in proofs)
        written_ns = table.stat().st_mtime_ns
        seals.write(self.layout, table, render_remote(entries))
        # With the old mtime, so that Snakemake runs nothing that depends on it.
        os.utime(table, ns=(written_ns, written_ns))

    def _inherit(self, pending: dict[str, list[str]], gone: set[str]) -> None:
        """Note for each pending batch which other batches held its entries before. Their caches and
        journals are used again."""
        standing: dict[str, str] = {}
        table, read = self.layout.local, read_local
        if not self._uploads:
            table, read = self.layout.remote, read_remote
        for name in gone | pending.keys():
            try:
                for entry in read(table(self.dataset, name)):
                    standing[entry.path] = name
            except FileNotFoundError:
                continue
        for name, paths in pending.items():
            sources = {standing[path] for path in paths if path in standing}
            sources.update(self.before.inherits.get(f"{self.dataset}/{name}", ()))
            if sources := sources - {name}:
                self.now.inherits[f"{self.dataset}/{name}"] = sorted(sources)

    def _known_sha256(
        self, pending: dict[str, list[str]], old: set[str]
    ) -> tuple[dict[str, str], set[str]]:
        """The SHA-256 (hex) of objects by path, and the paths whose object was replaced.

        The hashes come from markers, journals and the newest published manifest, without a request
        for each object; size and etag must agree with the listing. An object was replaced when
        there are proofs for its path, and all of them are of other objects.
        """
        local, remote = self.sides.local, self.sides.remote
        there = {path for paths in pending.values() for path in paths if path in remote}
        wanted = {p for p in there if p in local and local[p].size == remote[p].size}
        known: dict[str, str] = {}
        proven: dict[str, bool] = {}  # whether any proof is of the listed object
        for proof in self._proofs(old) if there else ():
            if proof.path not in there:
                continue
            now = remote[proof.path]
            same = (now.size, now.etag) == (proof.size, proof.etag)
            proven[proof.path] = same or proven.get(proof.path, False)
            if same and proof.sha256:
                known[proof.path] = proof.sha256
        if self.transfer.compare == "sha256" and not wanted <= known.keys():
            published = known_sha256(self.transfer, self.bucket, self.sides.published)
            for path in published.keys() & (wanted - known.keys()):
                size, etag, sha256 = published[path]
                same = (remote[path].size, remote[path].etag) == (size, etag)
                proven.setdefault(path, same)
                if same:
                    known[path] = sha256
        return known, {path for path, same in proven.items() if not same}

    def _proofs(self, names: set[str]) -> Iterator[Proof]:
        """The proofs in the markers and journals of the batches ``names``."""
        for name in names:
            proven = self.layout.marker(self.dataset, name)
            kept = self.layout.kept_marker(self.dataset, name)
            yield from marker.read_if_any(proven if proven.exists() else kept)
            record = journal.read([self.layout.journal(self.dataset, name)])
            yield from (proof for _, proof in record.done.values())

    def _refresh(
        self, name: str, paths: list[str], known: dict[str, str], replaced: set[str]
    ) -> None:
        """Update the tables of a batch, and remove the files that no longer follow from them.

        Files are removed before tables are written, and the marker is removed first. So a batch
        stays open when the run is killed in between.
        """
        layout, dataset = self.layout, self.dataset
        local = self._render_local(paths)
        there = (self.sides.remote[path] for path in paths if path in self.sides.remote)
        remote = render_remote(
            e._replace(sha256=known.get(e.path, ""), replaced=e.path in replaced) for e in there
        )
        layout.marker(dataset, name).unlink(missing_ok=True)
        layout.tried(dataset, name).unlink(missing_ok=True)
        checksums, diff = layout.checksums(dataset, name), layout.diff(dataset, name)
        changed = not holds(layout.local(dataset, name), local)
        # An upload hashes first, and its diff follows from that; a download hashes as it writes.
        if changed or not self._uploads or self._failed("checksum", name):
            checksums.unlink(missing_ok=True)
        if (
            changed
            or not holds(layout.remote(dataset, name), remote)
            or (self._uploads and not checksums.exists())
            or self._failed("diff", name)
        ):
            diff.unlink(missing_ok=True)
        for stage in ("checksum", "diff"):  # what failed is tried again: its tables are gone
            failures.record_path(layout, stage, dataset, name).unlink(missing_ok=True)
        write_if_changed(layout, layout.local(dataset, name), local)
        write_if_changed(layout, layout.remote(dataset, name), remote)

    def _failed(self, stage: str, name: str) -> bool:
        return failures.record_path(self.layout, stage, self.dataset, name).exists()

    def _forget(self, name: str) -> None:
        """Remove the files of a batch that no longer exists, except its journal, its cache and the
        copy of its marker."""
        layout, dataset = self.layout, self.dataset
        for path in (
            layout.remote(dataset, name),
            layout.checksums(dataset, name),
            layout.diff(dataset, name),
            layout.marker(dataset, name),
            layout.tried(dataset, name),
            layout.local(dataset, name),
            failures.record_path(layout, "checksum", dataset, name),
            failures.record_path(layout, "diff", dataset, name),
            failures.record_path(layout, self.transfer.direction, dataset, name),
        ):
            path.unlink(missing_ok=True)
        kept = [layout.kept_marker(dataset, name), layout.cache(dataset, name)]
        seals.keep_only(layout, layout.seals(dataset, name), kept)

    def _drop_history(self, new: Collection[str], keep: Collection[str]) -> None:
        """Remove the journals of proven batches, whose markers hold the same proofs, and the caches
        and copies of markers of batches that no longer exist. Those that a pending batch inherits
        from stay."""
        inherited = {name for names in self.now.inherits.values() for name in names}
        for path in self.layout.journal(self.dataset, "-").parent.glob("*.jsonl"):
            if path.stem not in inherited and path.stem not in keep:
                path.unlink(missing_ok=True)
        for folder in (self.layout.cache, self.layout.kept_marker):
            for path in folder(self.dataset, "-").parent.glob("*.tsv"):
                if path.stem not in inherited and path.stem not in new:
                    path.unlink(missing_ok=True)
                    self.layout.seals(self.dataset, path.stem).unlink(missing_ok=True)

    def _drop_file_checksums(self, proven: Collection[str]) -> None:
        """Remove the checksums of single files that were cut out of a table, unless the batch of
        the file is as it was."""
        folder = self.layout.file_checksums(self.dataset)
        for path in folder.rglob(f"*{CHECKSUM_SUFFIX}") if folder.is_dir() else ():
            name = path.relative_to(folder).as_posix().removesuffix(CHECKSUM_SUFFIX)
            if name not in proven and path.is_file():
                path.unlink()

    def _reopen(self, names: Iterable[str], *, complete: bool) -> None:
        """Remove the files of the whole dataset that are out of date, from the manifest to the
        summary. ``complete`` means that the batches are the same as before and all are proven.

        Snakemake makes a missing file only when a file that follows from it is missing too, and it
        does not run again for a table that returns to earlier content. A published manifest that is
        gone from the bucket is published again.
        """
        layout, dataset = self.layout, self.dataset
        proven, publication = layout.manifest(dataset), layout.publication(dataset)
        kept = layout.kept_manifest(dataset).exists()  # not by an earlier version
        if not kept and proven.exists() and tells_of(publication, proven):
            keep(layout, dataset, publication.read_bytes())
        if not complete:
            proven.unlink(missing_ok=True)
        elif not proven.exists() and publication.exists():
            self._restore_manifest(names)
        if not proven.exists():
            publication.unlink(missing_ok=True)
        elif self.transfer.publishes:
            key = published_key(publication)
            if key and not self._is_published(key):
                publication.unlink()
        if not all(layout.diff(dataset, name).exists() for name in names):
            layout.plan.unlink(missing_ok=True)
        last = publication if self.transfer.publishes else proven
        if not (layout.plan.exists() and last.exists()):
            layout.summary.unlink(missing_ok=True)

    def _restore_manifest(self, names: Iterable[str]) -> None:
        """Assemble a lost manifest again, with the time of its publication. If its bytes are those
        that were published, it is written, and nothing is published again."""
        layout, dataset = self.layout, self.dataset
        record = read_record(layout.publication(dataset))
        when = published_at(record["key"])
        if when is None:
            return
        markers = [layout.marker(dataset, name) for name in sorted(names)]
        proofs = [proof for path in markers for proof in marker.read(path)]
        data = b"".join(manifest.manifest(self.transfer, dataset, proofs, when))
        if hashlib.sha256(data).hexdigest() == record["sha256"]:
            path = layout.manifest(dataset)
            seals.write(layout, path, data, sync=True)
            # With the mtime of the record that follows from it, so that Snakemake runs nothing.
            ns = layout.publication(dataset).stat().st_mtime_ns
            os.utime(path, ns=(ns, ns))
            log.warning("%s: made anew from the markers, as it was published", path)

    def _is_published(self, key: str) -> bool:
        """Whether this manifest is in the bucket. S3 is asked only about keys outside the prefix,
        which the listing does not show."""
        if key.startswith(self.transfer.prefix):
            return key in self.sides.published
        return self.bucket.exists(key)


def _chooser(patterns: tuple[str, ...]) -> Callable[[str], bool] | None:
    return Selection(patterns).matches if patterns else None
