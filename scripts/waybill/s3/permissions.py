"""The permissions of AWS that the requests of Waybill need, in one table, and policies made of it.

``NEEDS`` is that table. docs/permissions.md, the row of ``waybill doctor`` about writing, and the
rows of ``waybill probe`` about a denied request are made from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer


class Task(StrEnum):
    """What a user wants to do, each with a policy of its own."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    VERIFY = "verify"
    DOCTOR = "doctor"
    PROBE = "probe"
    PT5 = "pt5-uploader"


class On(StrEnum):
    """What an action is allowed on."""

    BUCKET = "the bucket"
    PREFIX = "the bucket, where the prefix is that of the transfer"
    OBJECTS = "the objects"
    ANY = "all buckets"
    KEY = "the KMS key"


class Extra(StrEnum):
    """What a transfer may be set to, or find, and needs more permissions for."""

    TAGS = "tags"
    ACL = "acl"
    KMS = "KMS"
    ACCELERATE = "acceleration"


class Need(NamedTuple):
    """A request of the S3 API, ``operation``, needs ``action`` on ``on`` for each of ``tasks``;
    with ``extra`` only then. ``why`` says what the request is for."""

    operation: str
    action: str
    on: On
    tasks: frozenset[Task]
    why: str
    extra: Extra | None = None


_MOVES = frozenset((Task.UPLOAD, Task.DOWNLOAD, Task.VERIFY))
_LOOKS = _MOVES | {Task.DOCTOR, Task.PROBE}
_WRITES = frozenset((Task.UPLOAD, Task.PROBE))
_UPLOAD = frozenset((Task.UPLOAD,))
_PROBE = frozenset((Task.PROBE,))

# S3 user guide, "Required permissions for Amazon S3 API operations", "Multipart upload API and
# permissions", "Checking object integrity"; KMS developer guide, "How Amazon S3 uses AWS KMS".
NEEDS = (
    Need("ListObjectsV2", "s3:ListBucket", On.PREFIX, _LOOKS,
         "the inventory; without it S3 answers 403, not 404, about a missing object"),
    Need("HeadObject", "s3:GetObject", On.OBJECTS, _LOOKS,
         "to compare a file with an object that is there already"),
    Need("GetObject", "s3:GetObject", On.OBJECTS, _MOVES | {Task.PROBE},
         "the bytes; an upload reads manifests only, a verification with `content` objects"),
    Need("PutObject", "s3:PutObject", On.OBJECTS, _WRITES, "files up to 64 MiB, and manifests"),
    Need("CreateMultipartUpload", "s3:PutObject", On.OBJECTS, _WRITES, "a larger file: its upload"),
    Need("UploadPart", "s3:PutObject", On.OBJECTS, _WRITES, "a larger file: its parts"),
    Need("CompleteMultipartUpload", "s3:PutObject", On.OBJECTS, _WRITES,
         "a larger file: its parts become the object"),
    Need("ListParts", "s3:ListMultipartUploadParts", On.OBJECTS, _WRITES,
         "a larger file after an interruption: which parts are there"),
    Need("AbortMultipartUpload", "s3:AbortMultipartUpload", On.OBJECTS, _WRITES,
         "a larger file that changed: its old parts would cost storage for ever"),
    Need("ListMultipartUploads", "s3:ListBucketMultipartUploads", On.BUCKET, _PROBE,
         "whether the store does it"),
    Need("GetObjectAttributes", "s3:GetObjectAttributes", On.OBJECTS, _PROBE,
         "whether the store does it"),
    Need("ListBuckets", "s3:ListAllMyBuckets", On.ANY, frozenset((Task.PT5,)),
         "`pt5-uploader --validate`: whether the credentials are accepted"),
    Need("PutObject", "s3:PutObjectTagging", On.OBJECTS, _UPLOAD, "the setting `tags`", Extra.TAGS),
    Need("CreateMultipartUpload", "s3:PutObjectTagging", On.OBJECTS, _UPLOAD, "the setting `tags`",
         Extra.TAGS),
    Need("PutObject", "s3:PutObjectAcl", On.OBJECTS, _UPLOAD, "the setting `acl`", Extra.ACL),
    Need("CreateMultipartUpload", "s3:PutObjectAcl", On.OBJECTS, _UPLOAD, "the setting `acl`",
         Extra.ACL),
    Need("GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration", On.BUCKET, _MOVES,
         '`accelerate = "auto"`; without it Transfer Acceleration is not used', Extra.ACCELERATE),
    Need("PutObject", "kms:GenerateDataKey", On.KEY, _UPLOAD, "each object has a key of its own",
         Extra.KMS),
    Need("CreateMultipartUpload", "kms:GenerateDataKey", On.KEY, _UPLOAD,
         "each object has a key of its own", Extra.KMS),
    Need("UploadPart", "kms:Decrypt", On.KEY, _UPLOAD, "S3 keeps the parts encrypted", Extra.KMS),
    Need("ListParts", "kms:Decrypt", On.KEY, _UPLOAD, "the checksums of the parts", Extra.KMS),
    Need("CompleteMultipartUpload", "kms:Decrypt", On.KEY, _UPLOAD,
         "S3 reads the parts before it joins them", Extra.KMS),
    Need("HeadObject", "kms:Decrypt", On.KEY, _MOVES, "the checksums of an object", Extra.KMS),
    Need("GetObject", "kms:Decrypt", On.KEY, _MOVES, "the bytes of an object", Extra.KMS),
)  # fmt: skip

# What a reader replaces in a policy.
BUCKET, PREFIX, MANIFESTS = "BUCKET", "PREFIX", "MANIFESTS"
KEY_ARN = "arn:aws:kms:REGION:ACCOUNT:key/KEY"

_SIDS = {
    On.PREFIX: "List",
    On.BUCKET: "Bucket",
    On.OBJECTS: "Objects",
    On.ANY: "Buckets",
    On.KEY: "Key",
}


def needs(task: Task, extras: Collection[Extra] = ()) -> Iterator[Need]:
    """What a task needs, with some extras."""
    return (
        need for need in NEEDS if task in need.tasks and (not need.extra or need.extra in extras)
    )


def actions(found: Iterable[Need]) -> list[str]:
    """The actions, each once, in the order of the table."""
    return list(dict.fromkeys(need.action for need in found))


def action_of(operation: str) -> str:
    """The action that an operation always needs."""
    return next(need.action for need in NEEDS if need.operation == operation and not need.extra)


def writing(transfer: Transfer) -> list[str]:
    """The actions that the uploads of a transfer need, without those of a download."""
    extras = []
    if transfer.tags:
        extras.append(Extra.TAGS)
    if transfer.acl:
        extras.append(Extra.ACL)
    if transfer.sse_kms_key_id or (transfer.sse or "").startswith("aws:kms"):
        extras.append(Extra.KMS)
    reading = set(actions(needs(Task.DOWNLOAD)))
    return [action for action in actions(needs(Task.UPLOAD, extras)) if action not in reading]


def policy(
    task: Task, extras: Collection[Extra] = (), places: Collection[str] = (PREFIX,)
) -> dict[str, Any]:
    """The least IAM policy for a task. ``places`` are prefixes without a slash at their end, with
    ``MANIFESTS`` for an upload that publishes its manifests elsewhere. The names in capitals are
    placeholders."""
    arn = f"arn:aws:s3:::{BUCKET}"
    resources: dict[On, str | list[str]] = {
        On.PREFIX: arn,
        On.BUCKET: arn,
        On.OBJECTS: _one([f"{arn}/{place}/*" for place in places]),
        On.ANY: "*",
        On.KEY: KEY_ARN,
    }
    found = list(needs(task, extras))
    statements = []
    for on, sid in _SIDS.items():
        here = actions(need for need in found if need.on is on)
        if not here:
            continue
        statement = {
            "Sid": sid, "Effect": "Allow", "Action": _one(here), "Resource": resources[on],
        }  # fmt: skip
        if on is On.PREFIX:
            under = [f"{place}/*" for place in places]
            statement["Condition"] = {"StringLike": {"s3:prefix": _one(under)}}
        statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}


def _one(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
