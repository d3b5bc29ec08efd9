"""The answers to questions about single objects."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import replace

import botocore.exceptions as be

from waybill.model.errors import WaybillError
from waybill.s3.engine.base import Content
from waybill.s3.engine.choose import make_engine
from waybill.s3.errors import CONFLICT, explain
from waybill.s3.evidence import is_of
from waybill.s3.probe.questions import Answer
from waybill.s3.probe.store import METADATA, SMALL, Store, Untold, crc64nvme, md5, refusal, sha256

Found = tuple[Answer, str]
YES, NO = Answer.YES, Answer.NO

OTHER = b"other bytes\n"
OTHER_ETAG = '"00000000000000000000000000000000"'
ANSWER_SECONDS = 120

WRONG, IGNORED = "a wrong one is taken", "it is ignored"


def put_and_get(store: Store) -> Found:
    _, body = store.get("object") if store.object else ({}, b"")
    size = store.head("object").get("ContentLength")
    if (body, size) != (SMALL, len(SMALL)):
        return NO, f"{len(SMALL)} bytes were put, {len(body)} came, HeadObject tells {size}"
    return YES, ""


def native_engine(store: Store) -> Found:
    """Whether the native engine of Waybill itself can put and get."""
    plain = {} if store.takes_sha256 else {"request_checksum_calculation": "when_required"}
    transfer = replace(store.transfer, engine="native", **plain)
    content = Content(SMALL, hashlib.sha256(SMALL).hexdigest(), METADATA)
    key = store.key("native")
    try:
        with closing(make_engine(transfer, accelerate=False)) as engine:
            put = engine.put_object(key, len(SMALL), lambda: content, {}).result(ANSWER_SECONDS)
            _, body = engine.get_object(key, put.etag, len(SMALL)).result(ANSWER_SECONDS)
    except WaybillError as error:
        return NO, str(error)
    except (be.ClientError, be.BotoCoreError) as error:
        return NO, str(explain(error, store.transfer, what="native"))
    return (YES, "") if body == SMALL else (NO, f"{len(body)} bytes came, not {len(SMALL)}")


def proof_in_the_answer(store: Store) -> Found:
    reply = store.sealed if store.takes_sha256 else store.object
    if is_of(reply, SMALL, hashlib.sha256(SMALL).hexdigest()):
        return YES, "a checksum"
    return (YES, "the MD5") if _is_md5(reply.get("ETag", "")) else (NO, "neither")


def takes_sha256(store: Store) -> Found:
    told = store.sealed.get("ChecksumSHA256") == sha256(SMALL)
    return YES, "" if told else "the answer does not repeat it"


def checks_sha256(store: Store) -> Found:
    if not store.takes_sha256:
        raise Untold("SHA-256 is not taken")
    return _is_refused(lambda: store.put("wrong", ChecksumSHA256=sha256(OTHER)), WRONG)


def tells_sha256(store: Store) -> Found:
    if not store.takes_sha256:
        raise Untold("SHA-256 is not taken")
    told = store.head("sha256", ChecksumMode="ENABLED").get("ChecksumSHA256")
    return (YES, "") if told == sha256(SMALL) else (NO, "none" if told is None else "another")


def crc64(store: Store) -> Found:
    store.put("crc64nvme", ChecksumCRC64NVME=crc64nvme(SMALL))
    return _is_refused(lambda: store.put("wrong", ChecksumCRC64NVME=crc64nvme(OTHER)), WRONG)


def content_md5(store: Store) -> Found:
    right, wrong = (base64.b64encode(md5(data)).decode() for data in (SMALL, OTHER))
    store.put("md5", ContentMD5=right)
    return _is_refused(lambda: store.put("wrong", ContentMD5=wrong), WRONG)


def etag_is_md5(store: Store) -> Found:
    if _is_md5(store.etag):
        return YES, ""
    if str(store.object.get("ServerSideEncryption", "")).startswith("aws:kms"):
        raise Untold("the store encrypts with a KMS key, where no ETag is one")
    return NO, f"it is {shape(store.etag)}"


def metadata(store: Store) -> Found:
    kept = {name.lower(): value for name, value in _metadata(store).items()}
    lost = [name for name, value in METADATA.items() if kept.get(name.lower()) != value]
    return (NO, f"lost or changed: {', '.join(lost)}") if lost else (YES, "")


def metadata_case(store: Store) -> Found:
    names = {name.lower(): name for name in _metadata(store)}
    name = names.get("probe-case")
    if name is None:
        raise Untold("metadata are not kept")
    return (YES, "") if name == "Probe-Case" else (NO, f"Probe-Case comes back as {name}")


def if_none_match(store: Store) -> Found:
    return keeps_others(store, "condition-new", lambda: store.put("condition-new", IfNoneMatch="*"))


def if_match(store: Store) -> Found:
    etag = store.put("condition").get("ETag", "")
    return replaces_one(
        lambda: store.put("condition", IfMatch=etag),
        lambda: store.put("condition", IfMatch=OTHER_ETAG),
    )


def ranges(store: Store) -> Found:
    etag = store.etag
    reply, body = store.get("object", Range="bytes=3-9")
    if body == SMALL:
        return NO, "the whole object comes"
    told = str(reply.get("ContentRange", ""))
    if body != SMALL[3:10] or not told.startswith("bytes 3-9/") or reply.get("ETag") != etag:
        return NO, f"{len(body)} bytes come, with Content-Range {told!r}"
    return YES, ""


def get_if_match(store: Store) -> Found:
    etag = store.etag
    if code := refusal(lambda: store.get("object", IfMatch=etag)):
        return NO, f"the right ETag is refused with {code}"
    return _is_refused(lambda: store.get("object", IfMatch=OTHER_ETAG), IGNORED)


def attributes(store: Store) -> Found:
    wanted = ["ETag", "Checksum", "ObjectSize"]
    etag = store.etag
    reply = store.ask("get_object_attributes", Key=store.key("object"), ObjectAttributes=wanted)
    if reply.get("ObjectSize") != len(SMALL) or reply.get("ETag", "").strip('"') != etag.strip('"'):
        return NO, f"size {reply.get('ObjectSize')}, ETag {reply.get('ETag')}"
    return YES, "with checksums" if reply.get("Checksum") else "without checksums"


def versions(store: Store) -> Found:
    told = store.object.get("VersionId")
    return (NO, "none") if told in (None, "", "null") else (YES, "")


# What questions about conditions share


def keeps_others(store: Store, name: str, write: Callable[[], object]) -> Found:
    """The answer about a write that must make a new object and replace none. An earlier probe may
    have made it."""
    was_there = not refusal(lambda: store.head(name))
    if code := refusal(write):
        if code not in CONFLICT:
            return NO, f"refused with {code}"
        if not was_there:
            return NO, "refused though there is no object"
    return _is_refused(write, IGNORED, CONFLICT)


def replaces_one(right: Callable[[], object], wrong: Callable[[], object]) -> Found:
    """The answer about a write that replaces the object with one ETag, and about one with another
    ETag."""
    if code := refusal(right):
        return NO, f"the right ETag is refused with {code}"
    return _is_refused(wrong, IGNORED, CONFLICT)


def _is_refused(request: Callable[[], object], taken: str, codes: Collection[str] = ()) -> Found:
    """YES when a request is refused, with one of ``codes`` where there are any. ``taken`` is what
    was found when it is not."""
    code = refusal(request)
    if not code:
        return NO, taken
    return (NO, f"refused with {code}") if codes and code not in codes else (YES, code)


def _metadata(store: Store) -> dict[str, str]:
    return store.head("object").get("Metadata", {}) if store.object else {}


def _is_md5(etag: str) -> bool:
    return etag.strip('"') == md5(SMALL).hex()


def shape(etag: str) -> str:
    """What an ETag looks like, without its digits."""
    return re.sub(r"[0-9a-fA-F]{8,}", lambda match: f"{len(match[0])} digits", etag.strip('"'))


ANSWERS: dict[str, Callable[[Store], Found]] = {
    "put and get": put_and_get,
    "engine native": native_engine,
    "proof in the answer": proof_in_the_answer,
    "SHA-256": takes_sha256,
    "SHA-256 checked": checks_sha256,
    "SHA-256 told": tells_sha256,
    "CRC64NVME": crc64,
    "Content-MD5 checked": content_md5,
    "ETag is MD5": etag_is_md5,
    "metadata": metadata,
    "metadata case": metadata_case,
    "If-None-Match": if_none_match,
    "If-Match": if_match,
    "ranges": ranges,
    "GET If-Match": get_if_match,
    "attributes": attributes,
    "versions": versions,
}
