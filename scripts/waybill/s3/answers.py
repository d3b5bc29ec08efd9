"""Bounds on the answers of a server: on bodies that never end, or that no parser can finish.

They are hooks of botocore; ``guard`` registers them with a client.
"""

from __future__ import annotations

import contextlib
from typing import Any
from xml.parsers import expat

import botocore.exceptions as be
import urllib3.exceptions

from waybill.s3.causes import AnswerError

# A page of 1,000 keys of 1,024 bytes, each of them written as %XX, has less than 4 MiB.
PAGE_BYTES = 32 << 20
# An error of S3 has about 500 bytes, in one level of elements below the root.
ERROR_BYTES, ERROR_LEVELS = 1 << 20, 50


class EndlessAnswerError(AnswerError):
    """An answer is longer than any page of a listing."""

    fmt = "the answer is no S3 listing: it has more than {size} MiB; check `endpoint_url`"


def guard(client: Any) -> None:
    """Bound the answers that a client accepts: errors, and the pages of listings."""
    events = client.meta.events
    events.register("before-parse.s3", cut_error)
    events.register("before-send.s3.ListObjectsV2", _Page(client))


def cut_error(response_dict: dict, **_: object) -> None:
    """botocore hook: drop the body of an error that cannot be S3's; its status is enough. botocore
    would follow nested elements until the stack overflows."""
    body = response_dict["body"]
    if response_dict["status_code"] < 300 or not isinstance(body, bytes):
        return
    if len(body) > ERROR_BYTES or _is_deep(body):
        response_dict["body"] = b""


def _is_deep(body: bytes) -> bool:
    """Whether XML is nested more deeply than any answer of S3."""
    if body.count(b"<") <= ERROR_LEVELS:
        return False
    level = deepest = 0

    def start(*_: object) -> None:
        nonlocal level, deepest
        level += 1
        deepest = max(deepest, level)

    def end(*_: object) -> None:
        nonlocal level
        level -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with contextlib.suppress(expat.ExpatError):  # no XML: botocore ignores such a body
        parser.Parse(body, True)
    return deepest > ERROR_LEVELS


class _Page:
    """botocore hook: send the request for a page, and read at most ``PAGE_BYTES`` of the answer.
    Raises EndlessAnswerError for a longer one."""

    def __init__(self, client: Any) -> None:
        self._send = client._endpoint.http_session.send

    def __call__(self, request: Any, **_: object) -> Any:
        request.stream_output = True
        response = self._send(request)
        blocks, size = [], 0
        try:
            for block in response.raw.stream(1 << 16):
                size += len(block)
                if size > PAGE_BYTES:
                    raise EndlessAnswerError(size=PAGE_BYTES >> 20)
                blocks.append(block)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise be.ReadTimeoutError(endpoint_url=request.url, error=error) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise be.ConnectionClosedError(
                error=error, request=request, endpoint_url=request.url
            ) from None
        except EndlessAnswerError:
            response.raw.close()  # the rest would be taken for the next answer
            raise
        response._content = b"".join(blocks)
        return response
