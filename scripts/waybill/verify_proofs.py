"""What was proven, for a verification: markers, or what is left where there are none.

In this order, the first that knows a path counts: the markers; the last marker of a batch that is
open again (``Layout.kept_marker``); where a batch has neither, the manifest in the results; and
where all of that is lost, the manifest published last.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from waybill import marker, verify_lists
from waybill.errors import WaybillError
from waybill.layout import Layout
from waybill.published import destination, is_published, newest
from waybill.verify import Expected

if TYPE_CHECKING:
    from waybill.config import Transfer
    from waybill.control import Control


class Proven(NamedTuple):
    """Entries of one batch, or of a dataset where ``batch`` is empty. ``tick_ns`` is how fine
    their mtimes are; ``origin`` tells where they are from when that is no marker."""

    dataset: str
    batch: str
    entries: list[Expected]
    tick_ns: int = 1
    origin: str = ""


def in_results(layout: Layout) -> Iterator[Proven]:
    """What the results prove; a path may come twice, the first time counts."""
    markers = sorted((layout.root / "markers").glob("*/*.tsv"))
    for path in markers:
        yield _of_marker(path)
    known = {(path.parent.name, path.stem) for path in markers}
    kept = [p for p in _kept_markers(layout) if (p.parent.name, p.stem) not in known]
    for path in kept:
        yield _of_marker(path)
    known |= {(path.parent.name, path.stem) for path in kept}
    if known and known.issuperset(layout.batches()):
        return
    for path in sorted((layout.root / "manifests").glob("*.json")):
        entries = list(verify_lists.manifest(path.read_bytes(), str(path)))
        yield Proven(path.stem, "", entries, verify_lists.MANIFEST_TICK_NS, str(path))


def published(transfer: Transfer, control: Control, dataset: str) -> Proven | None:
    """What the manifest published last proves. Of one that an uploader wrote, a download takes
    what it selects."""
    folder, prefix = transfer.publish_prefix, transfer.prefix
    if folder is None:
        return None

    def read(manifest: Any) -> list[Expected] | None:
        if destination(manifest) != transfer.url:
            return None
        try:
            found = list(verify_lists.entries(manifest, "manifest"))
        except WaybillError as error:
            raise ValueError(str(error)) from None
        if any(_leaves(entry.path) for entry in found):
            raise ValueError("names files outside of its folder")
        return found if all(entry.etag and entry.key for entry in found) else None

    listed: set[str] = set()
    if folder.startswith(prefix):
        keys = (folder + entry.path for entry in control.list_prefix(folder))
        listed = {key for key in keys if is_published(transfer, key.removeprefix(prefix))}
    found = newest(transfer, control, listed, read)
    if found is None:
        return None
    key, entries = found
    if transfer.direction == "download":
        selection = transfer.selection
        entries = [entry for entry in entries if selection.matches(entry.path)]
    origin = f"s3://{transfer.bucket}/{key}"
    return Proven(dataset, "", entries, verify_lists.MANIFEST_TICK_NS, origin)


def _leaves(path: str) -> bool:
    """Whether a path would lead out of the folder it is relative to."""
    return path.startswith("/") or ".." in path.split("/")


def _of_marker(path: Path) -> Proven:
    entries = [Expected(*proof[:6]) for proof in marker.read(path)]
    return Proven(path.parent.name, path.stem, entries)


def _kept_markers(layout: Layout) -> list[Path]:
    """Those of the latest runs first: a path may have changed its batch since an earlier one."""
    paths = (layout.root / "journal").glob("*/*.tsv")
    return sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, path))
