"""``waybill find``: where a file stands: its dataset, batch and tables, its key, and its state."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from waybill.cli.commands import options
from waybill.cli.terminal import Screen, printable, visible
from waybill.model.errors import EXIT_EMPTY, EXIT_FAILED, EXIT_OK
from waybill.model.escaping import unescape
from waybill.model.locations import is_s3
from waybill.model.transfer import Transfer
from waybill.results import journal, marker, outcome, state
from waybill.results.batch_tables import ASIDE_COLUMNS, batch_of
from waybill.results.layout import Layout
from waybill.results.marker import Proof
from waybill.results.published import read_record
from waybill.system.tsv import rows

PROVEN = "proven"
CHANGED = "changed since it was proven"
OPEN = "open"
MOVED = "moved, but its batch is not proven yet"
ASIDE = "in no batch"
UNSEEN = "not seen by the last look"


@dataclass(slots=True)
class Found:
    """One file of one transfer. ``state`` is ``proven``, or begins with another of the words above;
    a reason may follow. ``files`` are the paths of its tables by their names, of those that exist.
    ``target`` is what to ask Snakemake for, to have its checksum. ``size`` is in bytes, ``looked``
    is when the last inventory was taken (UTC, ISO 8601)."""

    transfer: str
    dataset: str
    path: str
    key: str
    state: str
    looked: str
    batch: str = ""
    target: str = ""
    size: int | None = None
    sha256: str = ""
    etag: str = ""
    version_id: str = ""
    time: str = ""
    manifest: str = ""
    files: dict[str, str] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "exit codes: 0 every file is proven; 1 one is not; 2 usage or configuration;"
        " 3 no transfer has one of them"
    )
    options.add_transfers(parser)
    add = parser.add_argument
    add("--json", action="store_true", help="one JSON array, with an object for each file")
    add("files", metavar="FILE", nargs="+", help="a path, a path in its dataset, or s3://…")


def command(screen: Screen, given: argparse.Namespace) -> int:
    """Show batch, tables, key and state of files; returns the exit code."""
    transfers = options.transfers(given)
    found: list[Found] = []
    missing: list[str] = []
    for text in given.files:
        here = [one for transfer in transfers.values() for one in of_transfer(transfer, text)]
        found += here
        missing += [] if here else [text]
    if given.json:
        screen.line(json.dumps([asdict(one) for one in found], indent=1))
    else:
        for one in found:
            _show(screen, one)
    for text in missing:
        screen.problem(f"{printable(text)}: no transfer of {given.config} has this file")
    if missing:
        return EXIT_EMPTY
    return EXIT_OK if all(one.state == PROVEN for one in found) else EXIT_FAILED


def of_transfer(transfer: Transfer, text: str) -> Iterator[Found]:
    """What the results of one transfer tell about the file that ``text`` names; nothing when it has
    no such file. Raises DamagedError when a table is damaged."""
    layout = Layout(transfer.results)
    seen = state.read(layout)
    for dataset, place in seen.places.items():
        view = transfer.for_dataset(place.folder, place.prefix)
        for path in _paths(view, text):
            one = Found(
                transfer.name, dataset, path, f"s3://{view.bucket}/{view.prefix}{path}",
                UNSEEN, _utc(layout.state.stat().st_mtime),
            )  # fmt: skip
            one.batch = batch_of(layout, dataset, path, transfer.direction) or ""
            if one.batch:
                _tell_batch(one, view, layout, seen)
            elif reason := _aside(layout, dataset, path):
                one.state = f"{ASIDE}: {reason}"
            elif not (transfer.direction == "upload" and (view.folder / path).is_file()):
                continue
            yield one
            break


def _paths(view: Transfer, text: str) -> Iterator[str]:
    """The paths in a dataset that ``text`` may mean."""
    if is_s3(text):
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if bucket == view.bucket and key.startswith(view.prefix):
            yield key.removeprefix(view.prefix)
        return
    here = Path(os.path.abspath(text))  # noqa: PTH100 (keeps links)
    folder = Path(os.path.abspath(view.folder))  # noqa: PTH100
    if here.is_relative_to(folder):
        yield here.relative_to(folder).as_posix()
    if not Path(text).is_absolute():
        yield text


def _tell_batch(one: Found, view: Transfer, layout: Layout, seen: state.State) -> None:
    dataset, batch, path = one.dataset, one.batch, one.path
    tables = {
        "local": layout.local, "remote": layout.remote, "checksums": layout.checksums,
        "diff": layout.diff, "marker": layout.marker, "journal": layout.journal,
    }  # fmt: skip
    one.files = {k: os.fspath(t(dataset, batch)) for k, t in tables.items()}
    one.files = {kind: file for kind, file in one.files.items() if Path(file).exists()}
    one.target = os.fspath(layout.file_checksum(dataset, path))
    record = layout.publication(dataset)
    if record.exists():
        one.manifest = f"s3://{view.bucket}/{read_record(record)['key']}"
    elif layout.manifest(dataset).exists():
        one.manifest = os.fspath(layout.manifest(dataset))
    proofs = marker.read_if_any(layout.marker(dataset, batch))
    proof = next((proof for proof in proofs if proof.path == path), None)
    in_marker = proof is not None
    if proof is None:
        names = [*seen.inherits.get(f"{dataset}/{batch}", ()), batch]
        done = journal.read(layout.journal(dataset, name) for name in names).done
        proof = done.get(path, ("", None))[1]
    if proof is not None:
        one.key = f"s3://{view.bucket}/{proof.key}"
        one.size, one.sha256, one.etag = proof.size, proof.sha256, proof.etag
        one.version_id, one.time = proof.version_id, proof.time
    failed = next(
        (f for f in outcome.standing_failures(layout) if (f.dataset, f.path) == (dataset, path)),
        None,
    )
    if failed is not None:
        one.state = f"failed: {failed.message}"
    elif proof is None:
        one.state = OPEN
    elif not _is_as_proven(view.folder / path, proof):
        one.state = CHANGED
    else:
        one.state = PROVEN if in_marker else MOVED


def _is_as_proven(file: Path, proof: Proof) -> bool:
    """Whether the file has the size, mtime and inode that were proven. A file that is gone counts:
    the other side still holds what was proven."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return proof.is_of(status.st_size, status.st_mtime_ns, status.st_ino)


def _aside(layout: Layout, dataset: str, path: str) -> str:
    """Why an entry is in no batch; ``""`` when it is not one of those."""
    table = layout.aside(dataset)
    for _, name, _, reason in rows(table, ASIDE_COLUMNS) if table.exists() else ():
        if unescape(name) == path:
            return unescape(reason)
    return ""


def _utc(seconds: float) -> str:
    from waybill.model.times import utc_of_file

    return utc_of_file(int(seconds * 1e9)) or ""


def _show(screen: Screen, one: Found) -> None:
    screen.line(f"{printable(one.path)}: {visible(one.state)}")
    told = asdict(one)
    told |= told.pop("files")
    for key in ("path", "state"):
        del told[key]
    for key, value in told.items():
        if value not in ("", None):
            screen.line(f"  {key:<10} {printable(str(value))}")
