"""The one maker of transfers for tests that need no configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from waybill.model.transfer import Transfer


def transfer_of(
    folder: Path, bucket: str = "bucket", prefix: str = "", *, down: bool = False, **settings: Any
) -> Transfer:
    """A transfer ``t`` between ``folder`` and ``s3://bucket/prefix``, an upload unless it is
    ``down``. It publishes nothing, its results are in ``results`` beside the files of ``folder``
    unless the settings say where, and each setting of a ``Transfer`` may be given."""
    sides = [str(folder), f"s3://{bucket}/{prefix}"]
    source, destination = reversed(sides) if down else sides
    chosen: dict[str, Any] = {
        "name": "t",
        "direction": "download" if down else "upload",
        "source": source,
        "destination": destination,
        "folder": folder,
        "bucket": bucket,
        "prefix": prefix,
        "results": folder / "results",
        "publish_prefix": None,
    }
    return Transfer(**(chosen | settings))
