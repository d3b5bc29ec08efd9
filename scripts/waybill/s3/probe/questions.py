"""What the probe asks a store, in one table, and what follows from the answers.

``s3.probe.objects``, ``s3.probe.listings`` and ``s3.probe.parts`` find the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from waybill.model.errors import EXIT_FAILED, EXIT_OK


class Answer(StrEnum):
    """The answer to a question; ``UNTOLD`` when it could not be found, and the row says why."""

    YES = "yes"
    NO = "no"
    UNTOLD = "-"


class Need(StrEnum):
    """What a store is without: useless to Waybill, used in another way, or just different."""

    NEEDED = "needed"
    USED = "used"
    TOLD = "told"


class Question(NamedTuple):
    """One thing a store does or does not. ``without`` says what Waybill does when the answer is no;
    ``keys`` are the settings to make then."""

    name: str
    asks: str
    need: Need
    without: str = ""
    keys: Mapping[str, str | bool] = {}


class Row(NamedTuple):
    """The answer to a question, with what was found in words."""

    question: Question
    answer: Answer
    found: str

    @property
    def advice(self) -> str:
        """What follows when the answer is no; ``""`` when nothing does."""
        if self.answer is not Answer.NO:
            return ""
        keys = self.question.keys.items()
        sets = ", ".join(f"set {key} = {json.dumps(value)}" for key, value in keys)
        return "; ".join(filter(None, (self.question.without, sets)))


_PLAIN_CHECKSUMS = {"request_checksum_calculation": "when_required"}

_ANY, _USED, _TOLD = Need.NEEDED, Need.USED, Need.TOLD

QUESTIONS = (
    Question("reach", "the endpoint answers, and the prefix can be listed", _ANY),
    Question("addressing", 'the address that `addressing_style = "auto"` makes works', _USED,
             "the other style works", {"addressing_style": "virtual"}),
    Question("put and get", "an object comes back as it was put", _ANY),
    Question("engine native", "engine `native` puts and gets an object", _USED,
             "engine `boto3` does all", {"engine": "boto3"}),
    Question("proof in the answer",
             "the answer to PutObject has the checksum of the bytes, or an ETag that is their MD5",
             _USED, "each object is looked for in a listing before it counts as moved"),
    Question("SHA-256", "PutObject takes `x-amz-checksum-sha256`", _USED,
             "Content-MD5 guards the bytes on the way", _PLAIN_CHECKSUMS),
    Question("SHA-256 checked", "PutObject refuses a wrong SHA-256", _USED,
             "what was damaged on the way is seen by the answer only"),
    Question("SHA-256 told", "HeadObject tells the SHA-256 of an object", _USED,
             "objects are compared by ETag and metadata"),
    Question("CRC64NVME", "PutObject takes a right CRC64NVME and refuses a wrong one", _TOLD),
    Question("Content-MD5 checked", "PutObject refuses a wrong Content-MD5", _TOLD),
    Question("ETag is MD5", "the ETag of a whole object is its MD5", _USED,
             "objects of other writers can be compared only by checksums that the store tells",
             {"etag_is_md5": False}),
    Question("metadata", "x-amz-meta-* come back with their values", _USED,
             "SHA-256 and time of a file are not kept with the object"),
    Question("metadata case", "the names of x-amz-meta-* keep their case", _TOLD),
    Question("If-None-Match", "PutObject makes a new object, and refuses to replace one", _USED,
             "an object that another writes at the same moment is replaced"),
    Question("If-Match", "PutObject replaces the object with this ETag, and no other", _USED,
             "an object that another writes at the same moment is replaced"),
    Question("ranges", "GetObject answers a range", _ANY,
             "objects above 64 MiB cannot be downloaded"),
    Question("GET If-Match", "GetObject refuses an object with another ETag", _USED,
             "the ETag in the answer is compared"),
    Question("attributes", "GetObjectAttributes tells the size of an object", _TOLD),
    Question("versions", "the answer to PutObject has a version", _TOLD),
    Question("odd names", "names keep blanks, signs, accents, CJK, emoji and case", _USED,
             "a file with such a name fails, and is named"),
    Question("list", "ListObjectsV2 tells each object with size and ETag", _ANY),
    Question("pages", "a listing goes on page by page, and ends", _ANY),
    Question("encoding", "names in a listing are encoded where `encoding-type=url` asks for it",
             _USED, "names with control characters cannot be listed"),
    Question("order", "a listing is sorted by the bytes of the names", _USED,
             "long listings are made page by page"),
    Question("start-after", "a listing begins after a name", _USED,
             "long listings are made page by page"),
    Question("multipart", "an upload of two parts, 5 MiB and a smaller one, becomes the object",
             _ANY, "files above 64 MiB cannot be uploaded"),
    Question("SHA-256 of parts", "UploadPart and CompleteMultipartUpload take SHA-256", _USED,
             "Content-MD5 guards the parts on the way", _PLAIN_CHECKSUMS),
    Question("SHA-256 of parts checked", "UploadPart refuses a wrong SHA-256", _USED,
             "what was damaged on the way is seen by the answer only"),
    Question("CRC64NVME of the whole", "an upload in parts gets one CRC64NVME, FULL_OBJECT", _USED,
             "a SHA-256 guards each part, if the store knows that"),
    Question("ETag of parts", "the ETag of an upload is the MD5 of the MD5s of its parts", _USED,
             "objects of other writers can be compared only by checksums that the store tells"),
    Question("HeadObject of a part", "HeadObject tells the size of one part", _USED,
             "how an object of another writer was cut is guessed"),
    Question("ListParts", "the parts of an open upload are listed", _USED,
             "an interrupted large file is sent from its beginning"),
    Question("ListMultipartUploads", "open uploads are listed", _TOLD),
    Question("abort", "an aborted upload is gone", _USED,
             "parts of uploads that were given up cost storage: set a rule of the bucket"),
    Question("small parts", "parts below 5 MiB are taken, not only the last", _TOLD),
    Question("complete If-None-Match", "CompleteMultipartUpload replaces no object", _USED,
             "an object that another writes at the same moment is replaced"),
    Question("complete If-Match", "CompleteMultipartUpload replaces the object with this ETag only",
             _USED, "an object that another writes at the same moment is replaced"),
)  # fmt: skip


def lacking(rows: Iterable[Row]) -> list[str]:
    """The names of what Waybill needs and did not find."""
    return [
        row.question.name
        for row in rows
        if row.question.need is Need.NEEDED and row.answer is not Answer.YES
    ]


def exit_code(rows: Iterable[Row]) -> int:
    """0 when all that Waybill needs works, else 1."""
    return EXIT_FAILED if lacking(rows) else EXIT_OK


def settings(rows: Iterable[Row], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a transfer with this store: those ``given``, and what the rows ask for."""
    found = {key: value for key, value in given.items() if value is not None}
    for row in rows:
        if row.answer is Answer.NO:
            found |= row.question.keys
    return found
