"""Publication of a manifest: into the bucket, and for the hca preset beside the data."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.exceptions as be

from waybill.boto_engine import intact
from waybill.engine import BLOCK_BYTES, base64_sha256, stored
from waybill.manifest import generated_at
from waybill.published import manifest_name
from waybill.s3 import make_client, write_arguments
from waybill.s3_errors import explain
from waybill.tables import write_atomic
from waybill.times import utc

if TYPE_CHECKING:
    from waybill.config import Transfer


def publish(transfer: Transfer, manifest: Path) -> tuple[dict[str, Any], list[str]]:
    """Put the manifest under the transfer's publish prefix.

    Its name comes from the time it was assembled, so a repeated publication writes the same
    object. Returns the record of it (key, etag, size, sha256, time) and notes for the user.
    Raises WaybillError when S3 does not take it.
    """
    client = make_client(transfer)
    with manifest.open("rb") as file:
        name = manifest_name(generated_at(file))
        key = f"{transfer.publish_prefix}{name}"
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()

        def put(**arguments: Any) -> dict[str, Any]:
            file.seek(0)
            return client.put_object(Body=file, **arguments)

        try:
            answer = stored(
                intact(
                    put,
                    Key=key,
                    ContentType="application/json",
                    ChecksumSHA256=base64_sha256(sha256),
                    **write_arguments(transfer),
                )
            )
        except (be.ClientError, be.BotoCoreError) as error:
            raise explain(error, transfer, what=f"s3://{transfer.bucket}/{key}") from None
    record = {
        "key": key, "etag": answer.etag, "size": size, "sha256": sha256, "time": utc(),
    }  # fmt: skip
    notes = []
    if transfer.preset == "hca":
        copy = transfer.folder / name
        try:
            with manifest.open("rb") as file:
                write_atomic(copy, iter(partial(file.read, BLOCK_BYTES), b""))
        except OSError as error:
            notes.append(f"{copy}: no copy of the manifest: {error.strerror}")
    return record, notes
