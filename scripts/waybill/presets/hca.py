"""Preset ``hca``: the buckets of the Human Cell Atlas tracker.

Files of an atlas go to ``s3://{bucket}/{network}/{atlas}/{folder}/``, manifests beside the folder.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waybill.model.locations import check_bucket
from waybill.presets.preset import Preset, PresetError
from waybill.system.root import Root

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer
    from waybill.presets.preset import Sides

log = logging.getLogger(__name__)

NO_HDF5 = "is no HDF5 file, as an .h5ad must be: it has no such signature"
SENT = f"{NO_HDF5}; it is sent as it is (hdf5_only = true refuses it)"
REFUSED = f"{NO_HDF5}; write it again (hdf5_only = false sends it as it is)"

BUCKETS = {"prod": "hca-atlas-tracker-data", "dev": "hca-atlas-tracker-data-dev"}
REGION = "us-east-1"

ATLAS_NETWORKS = {
    "adipose-v1": "adipose",
    "brain-v1": "nervous-system",
    "breast-v1": "breast",
    "cortex-v1": "nervous-system",
    "development-v1": "development",
    "gdn-v1": "genetic-diversity",
    "gut-v1": "gut",
    "gut-v2": "gut",
    "heart-v1": "heart",
    "immune-v1": "immune",
    "kidney-v1": "kidney",
    "liver-v1": "liver",
    "lung-v1": "lung",
    "lung-v2": "lung",
    "msk-v1": "musculoskeletal",
    "ocular-outflow-segment-v1": "eye",
    "ocular-surface-v1": "eye",
    "optic-nerve-head-v1": "eye",
    "optic-nerve-v1": "eye",
    "orcf-v1": "oral-and-craniofacial",
    "organoid-endoderm-v1": "organoid",
    "organoid-neural-v1": "organoid",
    "pancreas-v1": "pancreas",
    "reproduction-v1": "reproduction",
    "retina-v1": "eye",
    "retina-v2": "eye",
    "rpe-choroid-v1": "eye",
    "skin-v1": "skin",
}

# HDF5 File Format Specification, "Disk Format: Level 0A": the superblock begins at byte 0, 512,
# 1024, 2048 and so on; before it there may be a user block.
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCK_BYTES = 512

# name-vG, or name-vG-R for revision R of generation G; neither number starts with a zero, so that
# one atlas has one name
_ATLAS = re.compile(r"([a-z][a-z-]*-v[1-9][0-9]*)(?:-[1-9][0-9]*)?")


def network(atlas: str) -> str:
    """The bio-network that ``atlas`` belongs to; a revision belongs where its generation does.

    Raises PresetError, with the nearest names, for an atlas the tracker does not know.
    """
    match = _ATLAS.fullmatch(atlas)
    found = ATLAS_NETWORKS.get(match[1]) if match else None
    if found is None:
        raise PresetError("hca.atlas", f"Unknown atlas: {atlas}{_nearest(atlas)}")
    return found


def defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that follow from the ``hca`` table of a transfer.

    The region is only known for the tracker's own buckets at Amazon. Raises PresetError when the
    atlas is missing or unknown, or the bucket has no valid name.
    """
    hca = settings.get("hca", {})
    if "atlas" not in hca:
        raise PresetError("hca.atlas", 'missing; preset "hca" needs an atlas, like "gut-v1"')
    atlas = hca["atlas"]
    bucket = hca.get("bucket", BUCKETS[hca.get("environment", "prod")])
    try:
        check_bucket(bucket, elsewhere="endpoint_url" in settings)
    except ValueError as error:
        raise PresetError("hca.bucket", str(error)) from None
    folder = hca.get("folder", "source-datasets")
    found: dict[str, Any] = {
        "destination": f"s3://{bucket}/{network(atlas)}/{atlas}/{folder}/",
        "include": ["/*.h5ad"],
        "exclude": ["*/"],  # deeper folders are no part of the atlas: do not walk them
        "publish": "../manifests/",
        "batch": {"max_files": 1},
        "content_types": False,  # the tracker's objects have none
    }
    if not {"endpoint_url", "destination"} & settings.keys() and "bucket" not in hca:
        found["region"] = REGION
    return found


def _dataset(transfer: Transfer) -> str:
    return str(transfer.preset_settings.get("folder", "source-datasets"))


def hold(transfer: Transfer, sides: Sides) -> None:
    """Skip what macOS keeps beside a file (``._X.h5ad``), and name files that are no HDF5: the
    tracker would register each of them. With ``hdf5_only`` they are refused. A file is not read
    when the bucket has an object of its size."""
    skipped, refused = {}, {}
    only = transfer.preset_settings.get("hdf5_only", False)
    root = Root(transfer.folder, transfer.symlinks)
    for path in sides.paths:
        if not path.endswith(".h5ad"):  # the include patterns are the user's own
            continue
        size, there = sides.local[path].size, sides.remote.get(path)
        is_there = there is not None and there.size == size
        if path.rpartition("/")[2].startswith("._"):
            skipped[path] = "a file that macOS keeps beside another"
        elif is_there or is_hdf5(root, path, size):
            continue
        elif only:
            refused[path] = REFUSED
        else:
            log.warning("%s %s", path, SENT)
    sides.leave_out(skipped=skipped, refused=refused)


def is_hdf5(root: Root, path: str, size: int) -> bool:
    """Whether a file has the signature of HDF5. True for one that cannot be read, or has more than
    its size: its upload will say so."""
    try:
        descriptor = root.open(path)
    except OSError:
        return True
    try:
        at = 0
        if size == 0:
            return bool(os.pread(descriptor, 1, 0))
        while at < size:
            if os.pread(descriptor, len(HDF5_SIGNATURE), at) == HDF5_SIGNATURE:
                return True
            at = 2 * at or USER_BLOCK_BYTES
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _nearest(atlas: str) -> str:
    import difflib

    names = difflib.get_close_matches(atlas.lower(), ATLAS_NETWORKS, n=3, cutoff=0.5)
    if not names:
        return f"; the tracker has {', '.join(ATLAS_NETWORKS)}"
    return "; did you mean " + " or ".join(f'"{name}"' for name in names) + "?"


_SETTINGS: dict[str, dict[str, Any]] = {
    "atlas": {
        "description": (
            "Atlas of the tracker, with its version. Required with preset `hca`, which sets "
            '`destination` to `s3://BUCKET/NETWORK/ATLAS/FOLDER/`, `include` to `["/*.h5ad"]`, '
            '`publish` to `"../manifests/"`, `batch.max_files` to 1 and `content_types` to false.'
        ),
        "type": "string",
        "minLength": 1,
        "x-allowed": 'an atlas, like "gut-v1" or "gut-v1-1"',
    },
    "folder": {
        "description": "Which folder of the atlas the files belong to.",
        "type": "string",
        "enum": ["source-datasets", "integrated-objects"],
        "default": "source-datasets",
    },
    "environment": {
        "description": "Which tracker, and with it which bucket.",
        "type": "string",
        "enum": ["prod", "dev"],
        "default": "prod",
    },
    "hdf5_only": {
        "description": (
            "Refuse files without the signature of HDF5. Without it they are named in a warning "
            "before anything is sent."
        ),
        "type": "boolean",
        "default": False,
    },
    "bucket": {
        "description": "Bucket to use instead of the tracker's own, for tests and mirrors.",
        "type": "string",
        "minLength": 1,
        "x-allowed": "name of a bucket",
    },
}

PRESET = Preset(
    name="hca",
    title="Human Cell Atlas tracker",
    order=1,
    description="What preset `hca` derives the destination from; only with that preset.",
    settings=_SETTINGS,
    derives=frozenset({"destination"}),
    defaults=defaults,
    dataset=_dataset,
    hold=hold,
    tool="hca-smart-sync",  # programs that read manifests look for this name
    manifest_copy=True,
)
