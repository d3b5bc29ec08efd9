"""Bounds on what a server answers: a body that never ends, or that no parser gets through.

Hooks of botocore; a client gets them by ``guard``.
"""

from __future__ import annotations

import contextlib
from typing import Any
from xml.parsers import expat

import botocore.exceptions as be
import urllib3.exceptions

# A page of 1,000 keys of 1,024 bytes, each of them written as %XX, has less than 4 MiB.
PAGE_BYTES = 32 << 20
# What S3 says about an error has about 500 bytes, in elements that hold no others but one.
ERROR_BYTES, ERROR_LEVELS = 1 << 20, 50


class EndlessAnswerError(be.BotoCoreError):
    """An answer is longer than any page of a listing."""

    fmt = "the answer is no S3 listing: it has more than {size} MiB; check the endpoint"


def guard(client: Any) -> None:
    """Have the answers to a client's requests bounded: errors, and the pages of listings."""
    events = client.meta.events
    events.register("before-parse.s3", cut_error)
    events.register("before-send.s3.ListObjectsV2", _Page(client))


def cut_error(response_dict: dict, **_: object) -> None:
    """botocore hook: leave out the body of an error that is none of S3's; its status says enough.
    botocore would read elements within elements until the stack ends."""
    body = response_dict["body"]
    if response_dict["status_code"] < 300 or not isinstance(body, bytes):
        return
    if len(body) > ERROR_BYTES or _is_deep(body):
        response_dict["body"] = b""


def _is_deep(body: bytes) -> bool:
    """Whether XML holds more elements within elements than any answer of S3."""
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
    with contextlib.suppress(expat.ExpatError):  # a page for people, which botocore passes by
        parser.Parse(body, True)
    return deepest > ERROR_LEVELS


class _Page:
    """botocore hook: send the request for a page, and read so much of the answer as one has."""

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
            response.raw.close()  # what is left of it would be the next answer
            raise
        response._content = b"".join(blocks)
        return response
