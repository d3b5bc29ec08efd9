"""What IAM would say: the actions that a recorded request needs, and whether a policy allows them.

This shares no code with Waybill: the actions of a request are looked up in the table under test by
the operation that the proxy told, and the policy is read as JSON, as IAM reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from support.faults import Request

# Requests about an object that is encrypted with a KMS key, beside those that say so themselves.
_OF_ENCRYPTED = {"UploadPart", "ListParts", "CompleteMultipartUpload", "GetObject"}


class Call(NamedTuple):
    """One request: its operation, the extras that it makes use of, and what it is about."""

    operation: str
    extras: frozenset[str]
    bucket: str
    key: str
    query: Mapping[str, str]


def calls(requests: Iterable[Request]) -> Iterator[Call]:
    """The requests, in their order; what was written with a KMS key stays encrypted."""
    encrypted: set[tuple[str, str]] = set()
    for request in requests:
        place, headers, extras = (request.bucket, request.key), request.headers, set()
        if "x-amz-tagging" in headers:
            extras.add("tags")
        if "x-amz-acl" in headers:
            extras.add("acl")
        if headers.get("x-amz-server-side-encryption", "").startswith("aws:kms"):
            encrypted.add(place)
            extras.add("KMS")
        checksums = request.op == "HeadObject" and "x-amz-checksum-mode" in headers
        if place in encrypted and (request.op in _OF_ENCRYPTED or checksums):
            extras.add("KMS")
        if request.op == "GetBucketAccelerateConfiguration":
            extras.add("acceleration")
        yield Call(request.op, frozenset(extras), *place, request.query)


def allows(policy: Mapping[str, Any], action: str, call: Call, words: Mapping[str, str]) -> bool:
    """Whether a policy allows an action; ``words`` are what stands for the words in capitals."""
    if action.startswith("kms:"):
        resource = "KEY"
    elif action == "s3:ListAllMyBuckets":
        resource = "arn:aws:s3:::"
    else:
        resource = f"arn:aws:s3:::{call.bucket}" + (f"/{call.key}" if call.key else "")
    return any(
        statement["Effect"] == "Allow"
        and action in _list(statement["Action"])
        and _matches(resource, _list(statement["Resource"]), words)
        and _holds(statement.get("Condition", {}), call, words)
        for statement in policy["Statement"]
    )


def _holds(condition: Mapping[str, Any], call: Call, words: Mapping[str, str]) -> bool:
    assert set(condition) <= {"StringLike"}, condition
    wanted = condition.get("StringLike", {})
    assert set(wanted) <= {"s3:prefix"}, wanted
    return all(
        _matches(call.query.get("prefix", ""), _list(patterns), words)
        for patterns in wanted.values()
    )


def _matches(value: str, patterns: Collection[str], words: Mapping[str, str]) -> bool:
    for pattern in patterns:
        for word, text in words.items():
            pattern = pattern.replace(word, text)
        if fnmatchcase(value, pattern.replace("[", "[[]")):
            return True
    return False


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
