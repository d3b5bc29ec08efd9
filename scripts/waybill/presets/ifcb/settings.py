"""Preset ``ifcb``: the bins of an Imaging FlowCytobot, each whole or not yet."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from waybill.presets.ifcb import bins
from waybill.presets.preset import Preset
from waybill.system.root import Root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.presets.preset import Sides

CONCURRENCY = 32

NO_BIN = "not part of a bin"
HIDDEN = ".*/"  # a pattern
OVERDUE_SECONDS = 24 * 3600  # a sample takes 20 minutes; a bin that waits longer was broken off


def defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the preset. Its files are many and small, so one job reads and sends them.
    Hidden folders are not entered: a NAS keeps its snapshots in them."""
    all_files = settings.get("ifcb", {}).get("all_files")
    return {
        "max_concurrency": CONCURRENCY,
        "one_job_per_batch": True,
        "exclude": [] if all_files else [HIDDEN],
    }


def hold(transfer: Transfer, sides: Sides) -> None:
    """Hold back bins whose files may still be written. Skip files that are part of no bin, or in a
    hidden folder (where ``exclude`` is the user's own), or in a folder of ``skip_folders``.

    A bin whose files are all at the destination with the same sizes is not checked again. A
    half-written bin that has not changed for a day is a failure.
    """
    table = transfer.preset_settings
    if table.get("all_files"):
        return
    folders = frozenset(table.get("skip_folders", ()))
    grouped, skipped = _sort_out(sides.paths, folders)
    late: dict[str, list[str]] = {}
    # A file that is part of no bin neither waits nor fails, even if it is new or a broken link.
    for paths in (sides.held, sides.refused):
        names, others = _sort_out(paths, folders)
        for path, reason in others.items():
            if reason == NO_BIN and _may_hold_bins(transfer, path):
                continue
            del paths[path]
            skipped[path] = reason
        if paths is sides.held:
            late = names
    held = {}
    for name, kinds in late.items():
        reason = f"bin {name}: .{kinds[0]} {sides.held[f'{name}.{kinds[0]}']}"
        files = [f"{name}.{kind}" for kind in (*kinds, *grouped.pop(name, ()))]
        held.update(dict.fromkeys(files, reason))
    root = Root(transfer.folder, transfer.symlinks)
    now = time.time()
    for name, kinds in grouped.items():
        if why := _unfinished(root, name, kinds, sides):
            files = [f"{name}.{kind}" for kind in kinds]
            held.update(dict.fromkeys(files, f"bin {name}: {why}"))
            age = now - max(sides.local[file].mtime_ns for file in files) / 1e9
            if age > OVERDUE_SECONDS:
                sides.overdue[name] = (
                    f"half-written, and unchanged for {age / 3600:.0f} hours: {why}; complete it,"
                    ' put it into a folder "skip", or send it as it is (all_files)'
                )
    sides.leave_out(held=held, skipped=skipped)


def _sort_out(
    paths: Iterable[str], folders: frozenset[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The kinds of files of each bin to be taken, and the reasons for other paths."""
    bins_: dict[str, list[str]] = {}
    others: dict[str, str] = {}
    last, excluded = "", ""
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder != last:
            last = folder
            parts = folder.split("/")
            excluded = next((f"a folder {part}" for part in parts if part in folders), "")
            if any(part.startswith(".") for part in parts):
                excluded = "a hidden folder"
        if excluded:
            others[path] = f"in {excluded}"
        elif found := bins.split(path):
            bins_.setdefault(found[0], []).append(found[1])
        else:
            others[path] = NO_BIN
    return bins_, others


def _may_hold_bins(transfer: Transfer, path: str) -> bool:
    """Whether a path that was refused may be that of a folder with bins that no walk has seen."""
    if path.endswith("/"):
        return True
    try:
        status = (transfer.folder / path).stat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ELOOP)  # a link that leads nowhere
    return stat.S_ISDIR(status.st_mode) and transfer.symlinks != "follow"


def _unfinished(root: Root, name: str, kinds: list[str], sides: Sides) -> str:
    local, there = sides.local, sides.remote
    sizes = {kind: local[f"{name}.{kind}"].size for kind in kinds}
    if all((e := there.get(f"{name}.{kind}")) and e.size == sizes[kind] for kind in kinds):
        return ""
    return bins.unfinished(name, sizes, lambda n: _tail(root, f"{name}.adc", sizes["adc"], n))


def _tail(root: Root, path: str, size: int, count: int) -> bytes:
    """The last ``count`` bytes of a file; ``b""`` when it cannot be read. The upload fails for such
    a file later."""
    try:
        descriptor = root.open(path)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, count, max(0, size - count))
    except OSError:
        return b""
    finally:
        os.close(descriptor)


_DESCRIPTION = (
    "Which files of an Imaging FlowCytobot are taken; only with preset `ifcb`. They are the "
    "`.adc`, `.hdr` and `.roi` of bins, with old and new names; what is half-written waits. The "
    "preset sets `max_concurrency` to 32 and `one_job_per_batch` to true, and excludes hidden "
    "folders. See [ifcb.md](ifcb.md)."
)

_SETTINGS: dict[str, dict[str, Any]] = {
    "all_files": {
        "description": (
            "Take every file, also those in hidden folders, whether it is part of a bin or not, "
            "whole or not."
        ),
        "type": "boolean",
        "default": False,
    },
    "skip_folders": {
        "description": "Names of folders whose bins are not taken.",
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "default": ["skip", "beads"],
        "x-allowed": "a list of names of folders",
    },
}

PRESET = Preset(
    name="ifcb",
    title="Imaging FlowCytobot",
    order=4,
    description=_DESCRIPTION,
    settings=_SETTINGS,
    defaults=defaults,
    hold=hold,
)
