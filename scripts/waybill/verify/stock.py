"""Stock: compares what the walk and the listing show of both sides with what was proven.

Only tables, the folder and one listing are read. The findings go into one table. The entries that
need a closer look go into one table for each batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from waybill.inventory import batches, datasets
from waybill.inventory.sides import Sides, of_download, of_upload, own_folders
from waybill.model.difference import FAILED, NEW, ONLY_THERE
from waybill.model.entries import LocalEntry, RemoteEntry
from waybill.model.errors import EntryError, WaybillError
from waybill.model.escaping import escape
from waybill.results import state
from waybill.system.root import Root
from waybill.verify import proofs as verify_proofs
from waybill.verify.count import Count
from waybill.verify.folder import hold_folder, local_now
from waybill.verify.judge import DESTINATION, NEVER_MOVED, SOURCE, Finding, Look, hold
from waybill.verify.layout import Verified, VerifyLayout, write_findings, write_looks, write_state
from waybill.verify.proofs import Proven

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.s3.bucket import Bucket


def take(
    transfer: Transfer, layout: VerifyLayout, bucket: Callable[[], Bucket], today: date
) -> Verified:
    """Write the tables of a verification, and return its state. No files in it mean that nothing is
    proven.

    ``bucket`` is called only when S3 is needed. Raises WaybillError when a side cannot be looked at
    as a whole.
    """
    if transfer.verify_against is not None:
        stock = _Against(transfer, layout, today)
        stock.run(transfer.verify_against)
    else:
        stock = _Sides(transfer, layout, today)
        stock.run(bucket)
    write_findings(layout.decided, stock.count.decided)
    stock.count.now.batches = len(layout.to_look())
    write_state(layout, stock.count.now)
    return stock.count.now


class _Stock:
    def __init__(self, transfer: Transfer, layout: VerifyLayout, today: date) -> None:
        self.transfer, self.layout = transfer, layout
        self.count = Count(transfer.verify_sample, today)

    def write(self, dataset: str, batch: str, looks: list[Look]) -> None:
        """Write the entries that need a closer look, as one ``batch``; cut into batches when there
        is no name for one."""
        cut = [(batch, looks)] if batch else _cut(looks, self.transfer)
        for name, part in cut if looks else ():
            write_looks(self.layout.look(dataset, name), part)


def _cut(looks: list[Look], transfer: Transfer) -> Iterator[tuple[str, list[Look]]]:
    looks = sorted(looks)
    paths, sizes = [escape(look.path) for look in looks], [look.size for look in looks]
    for batch in batches.assign(
        paths, sizes, max_files=transfer.max_files, max_bytes=transfer.max_bytes
    ):
        yield batch.name, [looks[i] for i in batch.indices]


class _Sides(_Stock):
    """Compares folder and bucket with what was proven."""

    def run(self, bucket: Callable[[], Bucket]) -> None:
        transfer, now = self.transfer, self.count.now
        before = state.read(self.layout)
        found = datasets.find(transfer, before, mend=False)
        places = {d.name: (d.folder, d.prefix) for d in found.datasets}
        proofs = self._proofs(places, bucket)
        first = next(proofs, None)
        if first is None:
            return
        self._check_bucket(before)
        door = bucket()
        now.accelerate = door.accelerates()
        both = {
            name: _Dataset(name, transfer.for_dataset(*place), self, door, found.several)
            for name, place in places.items()
        }
        for proven in chain([first], proofs):
            name = proven.dataset
            if name not in both and found.several:
                # The dataset was moved and its folder is gone: its objects must stay in the bucket.
                prefix = proven.entries[0].key.removesuffix(proven.entries[0].path)
                view = transfer.for_dataset(str(transfer.folder / name), prefix)
                both[name] = _Dataset(name, view, self, door, True)
            if name in both:
                both[name].hold(proven)
        for dataset in both.values():
            dataset.add_unproven()
            now.places[dataset.name] = [str(dataset.view.folder), dataset.view.prefix]
        now.held += len(found.held)
        self.count.decide(
            "", [Finding(FAILED, SOURCE, f.path, None, f.message) for f in found.failed]
        )

    def _proofs(
        self, places: dict[str, tuple[str, str]], bucket: Callable[[], Bucket]
    ) -> Iterator[Proven]:
        """The proofs in the results; when there are none, those in the published manifests."""
        some = False
        for proven in verify_proofs.in_results(self.layout):
            some = True
            yield proven
        if some or self.transfer.publish_prefix is None:
            return
        door = bucket()
        for name, place in places.items():
            proven = verify_proofs.published(self.transfer.for_dataset(*place), door, name)
            if proven is not None:
                yield proven

    def _check_bucket(self, before: state.State) -> None:
        """Raise WaybillError when the proofs are of another bucket."""
        was = before.destination if self.transfer.direction == "upload" else before.source
        if was and not was.startswith(f"s3://{self.transfer.bucket}/"):
            raise WaybillError(
                f"{self.layout.root}: proves what is in {was}, not in {self.transfer.url};"
                " run the transfer first"
            )


class _Dataset:
    """One dataset, with what a walk of its folder and one listing show."""

    def __init__(
        self, name: str, view: Transfer, stock: _Sides, bucket: Bucket, may_be_gone: bool
    ) -> None:
        self.name, self.view, self.stock = name, view, stock
        self.root = Root(view.folder, view.symlinks)
        self.objects: dict[str, RemoteEntry] = {}
        self.sides: Sides | None = None

        def listing(known: Collection[str] = ()) -> Iterator[RemoteEntry]:
            return self._noted(bucket.list_prefix(view.prefix, known))

        if view.folder.is_dir():
            look = of_upload if view.direction == "upload" else of_download
            self.sides = look(view, stock.layout, listing)
        elif may_be_gone:
            reason = "the folder of the whole dataset is gone; only the bucket is looked at"
            path = str(view.folder)
            stock.count.decide(name, [Finding(ONLY_THERE, DESTINATION, path, None, reason)])
            deque(listing(), maxlen=0)
        else:
            raise WaybillError(
                f"{view.folder}: the folder is not there, so none of its files can be; mount"
                " it, or check source and destination"
            )

    def _noted(self, listing: Iterable[RemoteEntry]) -> Iterator[RemoteEntry]:
        for entry in listing:
            self.objects[entry.path] = entry
            yield entry

    def hold(self, proven: Proven) -> None:
        """Compare the entries of a batch with their proofs."""
        count, view = self.stock.count, self.view
        looks = []
        for expected in proven.entries:
            path = expected.path
            if count.has(self.name, path):
                continue
            if expected.key != view.prefix + path:
                raise WaybillError(
                    f"{self.stock.layout.root}: proves {path} to be at {expected.key}, which is"
                    f" not in {view.url}; run the transfer first"
                )
            if proven.origin:
                count.now.origin = proven.origin
            found, look = hold(
                expected,
                self._local(path),
                self.objects.get(path),
                direction=view.direction,
                depth=view.verify_depth,
                tick_ns=proven.tick_ns,
                bucket_only=self.sides is None,
            )
            if look := count.add(self.name, path, expected.size or 0, found, look):
                looks.append(look)
        self.stock.write(self.name, proven.batch, looks)

    def _local(self, path: str) -> LocalEntry | EntryError | None:
        if self.sides is None:
            return None
        if reason := self.sides.refused.get(path):
            return EntryError(path, reason)
        return self.sides.local.get(path) or local_now(self.root, path)

    def add_unproven(self) -> None:
        """Add the findings about entries of the source that were never moved, and about entries
        that only the destination has."""
        sides, count = self.sides, self.stock.count
        if sides is None:
            return
        other = sides.remote if self.view.direction == "upload" else sides.local
        found = []
        for path, size in zip(sides.paths, sides.sizes, strict=True):
            there = other.get(path)
            more = f"; the destination has {there.size} bytes of that name" if there else ""
            found.append(Finding(NEW, SOURCE, path, size, NEVER_MOVED + more))
        wrong = sides.refused | sides.overdue
        found += [Finding(FAILED, SOURCE, path, None, why) for path, why in wrong.items()]
        found += [
            Finding(ONLY_THERE, DESTINATION, path, size, "only at the destination")
            for path, size in sides.only_there
        ]
        count.decide(self.name, (f for f in found if not count.has(self.name, f.path)))
        count.now.held += sum(not count.has(self.name, path) for path in sides.held)


class _Against(_Stock):
    """Compares the folder of a transfer with a list, without S3."""

    def run(self, file: Path) -> None:
        transfer = self.transfer
        looks = hold_folder(
            file,
            transfer.folder,
            self.count,
            transfer.name,
            depth=transfer.verify_depth,
            selection=transfer.selection,
            symlinks=transfer.symlinks,
            avoid=own_folders(self.layout),
        )
        self.count.now.places[transfer.name] = [str(transfer.folder), transfer.prefix]
        self.write(transfer.name, "", looks)
