"""The checksums that requests for whole objects carry: SHA-256 in the headers of S3, or Content-MD5
for a store that refuses these headers (``request_checksum_calculation = "when_required"``)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


class RequestChecksums:
    """The checksum arguments of the requests of a transfer, as botocore names them. A ``sha256`` is
    in hex. With ``when_required`` no request has a header ``x-amz-checksum-…`` or
    ``x-amz-sdk-checksum-…``."""

    def __init__(self, transfer: Transfer) -> None:
        self._has_sha256 = transfer.request_checksum_calculation == "when_supported"

    def of_body(self, body: bytes, sha256: str) -> dict[str, str]:
        """Of PutObject, whose ``body`` is sent."""
        if self._has_sha256:
            return {"ChecksumSHA256": base64_sha256(sha256)}
        return of_md5(hashlib.md5(body, usedforsecurity=False).hexdigest())

    def of_file(self, md5: str, sha256: str) -> dict[str, str]:
        """Of PutObject, whose body is a file with this MD5 (hex)."""
        return {"ChecksumSHA256": base64_sha256(sha256)} if self._has_sha256 else of_md5(md5)

    def of_answer(self) -> dict[str, str]:
        """Of HeadObject and GetObject: asks for the checksums that the store computed."""
        return {"ChecksumMode": "ENABLED"} if self._has_sha256 else {}


def base64_sha256(sha256: str) -> str:
    """A SHA-256 (hex) in base64, as in S3's checksum headers."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def of_md5(md5: str) -> dict[str, str]:
    """The argument for an MD5 in hex."""
    return {"ContentMD5": base64.b64encode(bytes.fromhex(md5)).decode()}
