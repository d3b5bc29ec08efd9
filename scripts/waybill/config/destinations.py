"""Checks that transfers do not write over each other, nor over files that the run itself reads.

Only paths, prefixes and patterns are compared; no folder is walked and nothing is asked of S3.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from waybill.model.selection import never_both
from waybill.presets import registry
from waybill.system.resources import project_root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

# Folders in the working folder that Snakemake and Waybill always read.
_READ = (".snakemake", "config", "profiles", "workflow")
# Folders that a clone or an installation runs from.
_CODE = ("workflow", "scripts", "config", "profiles", "slurm")


def collisions(transfers: Sequence[Transfer]) -> Iterator[tuple[str, str]]:
    """The transfers that could write a name that another transfer writes too: (name, message).

    Two transfers of one direction collide when their destinations are equal or nested. There are
    exceptions: the outer one excludes the folder of the inner one; their patterns cannot match the
    same name; no dataset of the outer one can have the name of the inner folder; their preset keeps
    them apart. Manifests have names of their own and never collide.
    """
    places = [_Place.of(transfer) for transfer in transfers]
    for one, other in combinations(places, 2):
        outer, inner = (one, other) if one.holds(other) else (other, one)
        if not outer.holds(inner) or _apart(outer, inner):
            continue
        first, second = one.transfer, other.transfer
        how = "is" if one.parts == other.parts else "lies in" if inner is other else "holds"
        advice = "exclude in one of them what the other one writes"
        if first.preset == second.preset and _takes_many_folders(first):
            advice = "name the folders of both as the source of one"
        yield (
            second.name,
            f'{second.destination} {how} the destination of transfer "{first.name}"'
            + (f", {first.destination}" if how != "is" else "")
            + f": both could write one name; give one another destination, or {advice}",
        )


class _Place(NamedTuple):
    """The destination of a transfer: a store or ``""`` for this machine, and the folders that lead
    to it."""

    transfer: Transfer
    store: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, transfer: Transfer) -> _Place:
        if transfer.direction == "download":
            return cls(transfer, "", transfer.folder.resolve().parts)
        # S3 takes every slash literally: a folder without a name is one of its own.
        folders = tuple(transfer.prefix.split("/")[:-1])
        return cls(transfer, _store(transfer.endpoint_url), (transfer.bucket, *folders))

    def holds(self, other: _Place) -> bool:
        """Whether ``other`` is this place or below it."""
        return self.store == other.store and self.parts == other.parts[: len(self.parts)]


def _store(endpoint_url: str | None) -> str:
    """The host of a service that speaks S3; one name for all of Amazon's."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    host = urlsplit(endpoint_url or given or "https://amazonaws.com").netloc.lower()
    return "amazonaws.com" if host.endswith("amazonaws.com") else host


def _apart(outer: _Place, inner: _Place) -> bool:
    """Whether both can never write the same name. False means that the configuration does not
    exclude it."""
    one, other = outer.transfer, inner.transfer
    below = inner.parts[len(outer.parts) :]
    if finder := registry.get(one.preset).finder:
        if below:
            return not finder.may_be_dataset(below[0], one)
        if other.preset != one.preset:
            return False
        if finder.kept_apart(one, other):
            return True
    elif other.several:  # its patterns are those of a dataset, whatever its name
        return below != () and _leaves_out(one, below)
    return _leaves_out(one, below) or never_both(one.selection, other.selection, below)


def _leaves_out(transfer: Transfer, folders: tuple[str, ...]) -> bool:
    selection = transfer.selection
    paths = ("/".join(folders[:count]) for count in range(1, len(folders) + 1))
    return any(selection.excludes_folder(path) for path in paths)


def _takes_many_folders(transfer: Transfer) -> bool:
    finder = registry.get(transfer.preset).finder
    return finder is not None and finder.many_folders


def exposed(transfer: Transfer, working: Path, file: Path) -> str:
    """Why a download may not write to its destination: the destination is, holds or lies in a
    folder that the run itself reads. ``""`` when it may, and for an upload.

    ``working`` is the folder that the workflow runs in, ``file`` is the configuration.
    """
    if transfer.direction == "upload":
        return ""
    here, root = working.resolve(), project_root()
    results = (here / transfer.results.parent).resolve()
    destination = transfer.folder.resolve()
    for name, path in (
        ("the working folder", here),
        ("the configuration", file.resolve()),
        ("the results", results),
        ("the Snakefile", root / "Snakefile"),
    ):
        if path.is_relative_to(destination):
            how = "is" if path == destination else "holds"
            return _exposed(destination, f"{how} {name}", path)
    read = [here / name for name in _READ] + [root / name for name in _CODE]
    for path in (results, *read):
        if destination.is_relative_to(path.resolve()):
            return _exposed(destination, "is in", path)
    return ""


def _exposed(destination: Path, how: str, path: Path) -> str:
    what = "" if path == destination else f" {path}"
    return (
        f"{destination} {how}{what}: an object could replace what the run itself reads; name a"
        " folder that holds nothing but data"
    )
