"""The proofs that a verification starts from: markers, or manifests where markers are missing.

The proof of a path is taken from the first of these that has one: the marker of a batch; the kept
copy of its last marker, for a batch that is open again (``Layout.kept_marker``); the manifest in
the results, when a batch has neither; the manifest that was published last, when all else is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from waybill.model.errors import DamagedError, WaybillError
from waybill.results import marker, seals, state
from waybill.results.layout import Layout
from waybill.results.published import destination, is_published, newest
from waybill.verify import lists
from waybill.verify.judge import Expected

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.s3.bucket import Bucket

log = logging.getLogger(__name__)


class Proven(NamedTuple):
    """Entries of one batch, or of a dataset where ``batch`` is empty. ``tick_ns`` is the resolution
    of their mtimes. ``origin`` names the manifest that they come from; ``""`` for a marker."""

    dataset: str
    batch: str
    entries: list[Expected]
    tick_ns: int = 1
    origin: str = ""


def in_results(layout: Layout) -> Iterator[Proven]:
    """The proofs in the results. If a path comes twice, the first proof counts. A damaged file is
    logged and passed over; the next kind of proof takes its place. Raises DamagedError when there
    is none."""
    damaged: list[DamagedError] = []
    known: set[tuple[str, str]] = set()
    markers = sorted((layout.root / "markers").glob("*/[!.]*.tsv"))
    for path in (*markers, *_kept_markers(layout)):
        batch = path.parent.name, path.stem
        if batch not in known:
            try:
                yield Proven(*batch, _entries(layout, path))
                known.add(batch)
            except DamagedError as error:
                damaged.append(_named(error))
    if not known or not known.issuperset(state.batches(layout)):
        for path in sorted((layout.root / "manifests").glob("[!.]*.json")):
            try:
                seals.check(layout, [path])
            except DamagedError as error:
                damaged.append(_named(error))
                continue
            entries = list(lists.manifest(path.read_bytes(), str(path)))
            yield Proven(path.stem, "", entries, lists.MANIFEST_TICK_NS, str(path))
            known |= {batch for batch in state.batches(layout) if batch[0] == path.stem}
    unproven = [e for e in damaged if (e.file.parent.name, e.file.stem) not in known]
    unproven = [e for e in unproven if e.file.parent.name != "manifests"]
    if unproven:
        raise unproven[0]


def _named(error: DamagedError) -> DamagedError:
    log.warning("%s: damaged: %s; run the transfer, and it is made anew", error.file, error.why)
    return error


def _entries(layout: Layout, path: Path) -> list[Expected]:
    """The entries of a marker. Raises DamagedError."""
    seals.check(layout, [path])
    return [Expected(*proof[:6]) for proof in marker.read(path)]


def published(transfer: Transfer, bucket: Bucket, dataset: str) -> Proven | None:
    """The proofs in the manifest that was published last; None when there is none. A download takes
    only the entries that it selects, because an upload may have published the manifest."""
    folder, prefix = transfer.publish_prefix, transfer.prefix
    if folder is None:
        return None

    def read(manifest: Any) -> list[Expected] | None:
        if destination(manifest) != transfer.url:
            return None
        try:
            found = list(lists.entries(manifest, "manifest"))
        except WaybillError as error:
            raise ValueError(str(error)) from None
        if any(_leaves(entry.path) for entry in found):
            raise ValueError("names files outside of its folder")
        return found if all(entry.etag and entry.key for entry in found) else None

    listed: set[str] = set()
    if folder.startswith(prefix):
        keys = (folder + entry.path for entry in bucket.list_prefix(folder))
        listed = {key for key in keys if is_published(transfer, key.removeprefix(prefix))}
    found = newest(transfer, bucket, listed, read)
    if found is None:
        return None
    key, entries = found
    if transfer.direction == "download":
        selection = transfer.selection
        entries = [entry for entry in entries if selection.matches(entry.path)]
    origin = f"s3://{transfer.bucket}/{key}"
    return Proven(dataset, "", entries, lists.MANIFEST_TICK_NS, origin)


def _leaves(path: str) -> bool:
    """Whether a path would lead out of the folder it is relative to."""
    return path.startswith("/") or ".." in path.split("/")


def _kept_markers(layout: Layout) -> list[Path]:
    """The kept copies of markers, the latest first: a path may have changed its batch since."""
    paths = (layout.root / "journal").glob("*/[!.]*.tsv")
    return sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, path))
