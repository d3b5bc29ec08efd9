"""The checksums of an upload in parts: which kind it has, and what its requests carry.

The CRC-64/NVME of the whole object, type FULL_OBJECT (S3 API, "Checking object integrity"), comes
first: the CRCs of the parts combine to it, so S3 checks each part and the whole, and each byte is
hashed by SHA-256 only once, for the metadata. An answer to CreateMultipartUpload tells whether the
store knows the kind. One that does not gets a SHA-256 of each part; one that knows neither checks
nothing. With ``request_checksum_calculation = "when_required"`` each part has a Content-MD5.

An upload keeps the kind that it was opened with: kinds are never mixed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.exceptions as be
from awscrt import checksums as crt

from waybill.s3.errors import UNSUPPORTED, error_code
from waybill.s3.evidence import Answer, etag_of
from waybill.s3.request_checksums import base64_sha256, of_md5

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

# Codes with which stores refuse a kind of checksum that they do not know.
REFUSED = UNSUPPORTED | {"InvalidRequest", "InvalidArgument"}

_MD5 = re.compile(r"[0-9a-f]{32}")


class Kind(StrEnum):
    """The checksum by which the store checks the parts of an upload. The value is its name in
    journals."""

    CRC64NVME = "CRC64NVME"
    SHA256 = "SHA256"
    MD5 = "MD5"
    NONE = "none"


class SentPart(NamedTuple):
    """A part that is in S3: its etag without quotes, the CRC-64/NVME and the number of its bytes,
    and its ``mark`` in the journal (hex): the SHA-256 for kind SHA256, else the CRC-64/NVME."""

    etag: str
    crc64nvme: int
    length: int
    mark: str


class PartChecksums:
    """The checksums of one job's uploads in parts. It begins with the best kind, and remembers what
    the store does not know. Safe to use from several threads."""

    def __init__(self, transfer: Transfer) -> None:
        supported = transfer.request_checksum_calculation == "when_supported"
        # NONE follows a SHA-256 that the store has passed over; that upload is used.
        self._kinds = [Kind.CRC64NVME, Kind.SHA256, Kind.NONE] if supported else [Kind.MD5]
        self._allowed = frozenset(self._kinds)

    @property
    def kind(self) -> Kind:
        """The kind of the next upload."""
        return self._kinds[0]

    def allows(self, kind: str) -> bool:
        """Whether an upload of this kind may be resumed with the present configuration."""
        return kind in self._allowed

    def of_upload(self, kind: Kind) -> dict[str, str]:
        """The arguments of CreateMultipartUpload."""
        match kind:
            case Kind.CRC64NVME:
                return {"ChecksumAlgorithm": kind.value, "ChecksumType": "FULL_OBJECT"}
            case Kind.SHA256:
                return {"ChecksumAlgorithm": kind.value}
        return {}

    def refused(self, kind: Kind, error: be.ClientError) -> bool:
        """Whether the store may have refused an upload for its kind. If so, the next upload has
        another kind."""
        # A refused SHA-256 is told: the user has to set ``request_checksum_calculation``.
        return kind is Kind.CRC64NVME and error_code(error) in REFUSED and self._drop(kind)

    def passed_over(self, kind: Kind, answer: Answer) -> bool:
        """Whether an answer to CreateMultipartUpload shows that the store does not know the kind.
        If so, the next upload has another kind."""
        checked = kind in (Kind.CRC64NVME, Kind.SHA256)
        return checked and answer.get("ChecksumAlgorithm") != kind and self._drop(kind)

    def _drop(self, kind: Kind) -> bool:
        self._kinds = [other for other in self._kinds if other is not kind]
        return True

    def of_part(self, kind: Kind, body: bytes, crc64nvme: int) -> tuple[str, dict[str, str]]:
        """The mark of a part in the journal, and the arguments of UploadPart."""
        mark = f"{crc64nvme:016x}"
        match kind:
            case Kind.CRC64NVME:
                return mark, {"ChecksumCRC64NVME": base64_crc64nvme(crc64nvme)}
            case Kind.SHA256 | Kind.NONE:  # without a checksum, the store may check the signature
                sha256 = hashlib.sha256(body).hexdigest()
                checked = kind is Kind.SHA256
                return sha256 if checked else mark, {"ChecksumSHA256": base64_sha256(sha256)}
            case Kind.MD5:
                return mark, of_md5(hashlib.md5(body, usedforsecurity=False).hexdigest())

    def of_whole(self, kind: Kind, size: int, parts: dict[int, SentPart]) -> dict[str, Any]:
        """The arguments of CompleteMultipartUpload for an object of ``size`` bytes. The list of
        parts is with it."""
        listed = [
            {"PartNumber": number, "ETag": part.etag, **_of_listed(kind, part)}
            for number, part in sorted(parts.items())
        ]
        more: dict[str, Any] = {} if kind is Kind.MD5 else {"MpuObjectSize": size}
        if kind is Kind.CRC64NVME:
            whole = base64_crc64nvme(combined(parts))
            more |= {"ChecksumType": "FULL_OBJECT", "ChecksumCRC64NVME": whole}
        return {"MultipartUpload": {"Parts": listed}, **more}

    def vouches(self, kind: Kind, answer: Answer, parts: dict[int, SentPart]) -> bool:
        """Whether an answer to CompleteMultipartUpload proves the object: it has a key, and its
        checksum or ETag follows from these parts."""
        if not answer.get("Key"):
            return False
        sent = [parts[number] for number in sorted(parts)]
        if told := answer.get("ChecksumCRC64NVME"):
            return bool(told == base64_crc64nvme(combined(parts)))
        if kind is Kind.SHA256 and (told := answer.get("ChecksumSHA256")):
            whole = hashlib.sha256(b"".join(bytes.fromhex(part.mark) for part in sent))
            return bool(told.partition("-")[0] == base64_sha256(whole.hexdigest()))
        if not all(_MD5.fullmatch(part.etag) for part in sent):
            return False
        md5 = hashlib.md5(
            b"".join(bytes.fromhex(part.etag) for part in sent), usedforsecurity=False
        )
        return etag_of(answer) == f"{md5.hexdigest()}-{len(sent)}"


def combined(parts: dict[int, SentPart]) -> int:
    """The CRC-64/NVME of the whole object."""
    whole = 0
    for _, part in sorted(parts.items()):
        whole = crt.combine_crc64nvme(whole, part.crc64nvme, part.length)
    return whole


def base64_crc64nvme(crc64nvme: int) -> str:
    """A CRC-64/NVME in base64, as in S3's checksum headers."""
    return base64.b64encode(crc64nvme.to_bytes(8, "big")).decode()


def _of_listed(kind: Kind, part: SentPart) -> dict[str, str]:
    """The checksum of a part in the list of CompleteMultipartUpload."""
    match kind:
        case Kind.CRC64NVME:
            return {"ChecksumCRC64NVME": base64_crc64nvme(part.crc64nvme)}
        case Kind.SHA256:
            return {"ChecksumSHA256": base64_sha256(part.mark)}
    return {}
