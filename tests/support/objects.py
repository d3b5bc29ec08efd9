"""What tests of S3 ask again and again: what a bucket holds, and which error a call ended in."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.server import S3Server


def base64_sha256(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


def error_of(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def stored(s3: S3Server, bucket: str, key: str = "key") -> bytes:
    """What the server has; it believes the checksums it was told, so they are not looked at."""
    client = s3.client(response_checksum_validation="when_required")
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(s3: S3Server, bucket: str, prefix: str = "") -> list[str]:
    """All keys under a prefix."""
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]
