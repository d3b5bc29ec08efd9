"""The answers to questions about uploads in parts."""

from __future__ import annotations

from collections.abc import Callable

from waybill.s3.probe.objects import (
    NO,
    OTHER,
    OTHER_ETAG,
    YES,
    Found,
    keeps_others,
    replaces_one,
    shape,
)
from waybill.s3.probe.store import (
    FIRST_PART,
    PART_BYTES,
    SMALL,
    Store,
    Untold,
    crc64nvme,
    given,
    md5,
    refusal,
    sha256,
)

WHOLE_BYTES = PART_BYTES + len(SMALL)


def multipart(store: Store) -> Found:
    told = store.joined.get("ETag")
    size = store.head("parts").get("ContentLength")
    _, seam = store.get("parts", Range=f"bytes={PART_BYTES - 8}-{PART_BYTES + 7}")
    if size != WHOLE_BYTES:
        return NO, f"{WHOLE_BYTES} bytes were put, HeadObject tells {size}"
    if seam != FIRST_PART[-8:] + SMALL[:8]:
        return NO, "other bytes come back where the parts meet"
    return YES, "" if told else "the answer has no ETag"


def sha256_of_parts(store: Store) -> Found:
    upload_id = store.begin("parts-sha256", ChecksumAlgorithm="SHA256")
    part = store.part(upload_id, 1, SMALL, ChecksumSHA256=sha256(SMALL))
    store.complete(upload_id, [part])
    head = store.head("parts-sha256", ChecksumMode="ENABLED")
    return YES, "" if head.get("ChecksumSHA256") else "HeadObject tells none afterwards"


def sha256_of_parts_checked(store: Store) -> Found:
    upload_id = given(
        lambda: store.begin("parts-wrong", ChecksumAlgorithm="SHA256"), "SHA-256 of parts"
    )
    right = refusal(lambda: store.part(upload_id, 1, SMALL, ChecksumSHA256=sha256(SMALL)))
    if right:
        raise Untold("SHA-256 of parts does not work")
    code = refusal(lambda: store.part(upload_id, 1, SMALL, ChecksumSHA256=sha256(OTHER)))
    return (YES, code) if code else (NO, "a wrong one is taken")


def crc64_of_the_whole(store: Store) -> Found:
    kind = {"ChecksumType": "FULL_OBJECT"}
    upload_id = store.begin("parts-crc64nvme", ChecksumAlgorithm="CRC64NVME", **kind)
    bodies = [FIRST_PART, SMALL]
    parts = [
        store.part(upload_id, number, body, ChecksumCRC64NVME=crc64nvme(body))
        for number, body in enumerate(bodies, 1)
    ]
    whole = crc64nvme(*bodies)
    store.complete(upload_id, parts, ChecksumCRC64NVME=whole, **kind)
    head = store.head("parts-crc64nvme", ChecksumMode="ENABLED")
    if head.get("ChecksumCRC64NVME") != whole:
        return NO, f"HeadObject tells {head.get('ChecksumCRC64NVME', 'none')}"
    if head.get("ChecksumType") != "FULL_OBJECT":
        return NO, f"HeadObject tells type {head.get('ChecksumType', 'none')}"
    return YES, ""


def etag_of_parts(store: Store) -> Found:
    given(lambda: store.joined, "multipart")
    etag = store.head("parts").get("ETag", "").strip('"')
    parts = md5(FIRST_PART) + md5(SMALL)
    return (YES, "") if etag == f"{md5(parts).hex()}-2" else (NO, f"it is {shape(etag)}")


def head_of_a_part(store: Store) -> Found:
    given(lambda: store.joined, "multipart")
    head = store.head("parts", PartNumber=2)
    told = (head.get("PartsCount"), head.get("ContentLength"))
    if told == (2, len(SMALL)):
        return YES, ""
    return NO, f"it tells {told[1]} bytes of a part of {len(SMALL)}"


def list_parts(store: Store) -> Found:
    upload_id, key = _open(store), store.key("parts-open")
    etag = given(lambda: store.part(upload_id, 1, SMALL), "UploadPart")["ETag"]
    listed = store.ask("list_parts", Key=key, UploadId=upload_id).get("Parts", [])
    told = [(part.get("PartNumber"), part.get("ETag"), part.get("Size")) for part in listed]
    if told == [(1, etag, len(SMALL))]:
        return YES, ""
    return NO, f"it tells {len(told)} parts, and not the one that was put"


def list_uploads(store: Store) -> Found:
    upload_id, key = _open(store), store.key("parts-open")
    listed = store.ask("list_multipart_uploads", Prefix=key).get("Uploads", [])
    mine = [upload for upload in listed if upload.get("UploadId") == upload_id]
    if [upload.get("Key") for upload in mine] != [key]:
        return NO, f"it tells {len(listed)} uploads, and not the open one"
    return YES, ""


def abort(store: Store) -> Found:
    upload_id, key = _open(store), store.key("parts-open")
    store.abort(upload_id)
    code = refusal(lambda: store.ask("list_parts", Key=key, UploadId=upload_id))
    if not code:
        return NO, "its parts are still listed"
    if code not in ("NoSuchUpload", "NoSuchKey", "404"):
        raise Untold(f"ListParts is refused with {code}")
    return YES, ""


def small_parts(store: Store) -> Found:
    upload_id = _open(store, "parts-small")
    parts = [store.part(upload_id, number, SMALL) for number in (1, 2)]
    store.complete(upload_id, parts)
    size = store.head("parts-small").get("ContentLength")
    return (YES, "") if size == 2 * len(SMALL) else (NO, f"the object has {size} bytes")


def complete_if_none_match(store: Store) -> Found:
    name = "condition-parts-new"
    return keeps_others(store, name, lambda: _upload(store, name, IfNoneMatch="*"))


def complete_if_match(store: Store) -> Found:
    name = "condition-parts"
    etag = store.put(name).get("ETag", "")
    return replaces_one(
        lambda: _upload(store, name, IfMatch=etag),
        lambda: _upload(store, name, IfMatch=OTHER_ETAG),
    )


def _open(store: Store, name: str = "parts-open") -> str:
    return given(lambda: store.begin(name), "CreateMultipartUpload")


def _upload(store: Store, name: str, **condition: str) -> None:
    """Put an object as an upload of one part, with a condition."""
    upload_id = _open(store, name)
    part = given(lambda: store.part(upload_id, 1, SMALL), "UploadPart")
    store.complete(upload_id, [part], **condition)


ANSWERS: dict[str, Callable[[Store], Found]] = {
    "multipart": multipart,
    "SHA-256 of parts": sha256_of_parts,
    "SHA-256 of parts checked": sha256_of_parts_checked,
    "CRC64NVME of the whole": crc64_of_the_whole,
    "ETag of parts": etag_of_parts,
    "HeadObject of a part": head_of_a_part,
    "ListParts": list_parts,
    "ListMultipartUploads": list_uploads,
    "abort": abort,
    "small parts": small_parts,
    "complete If-None-Match": complete_if_none_match,
    "complete If-Match": complete_if_match,
}
