"""Bounds on the answers of a server: on bodies that never end, or that no parser can finish.

They are hooks of botocore; ``guard`` registers them with a client.
"""

from __future__ import annotations

import contextlib
from typing import Any
from xml.parsers import expat

import botocore.exceptions as be
import botocore.handlers
import urllib3.exceptions

from waybill.s3.causes import AnswerError
from waybill.s3.evidence import OddAnswerError

# A page of 1,000 keys of 1,024 bytes, each of them written as %XX, has less than 4 MiB.
PAGE_BYTES = 32 << 20
# An error of S3 has about 500 bytes, in one level of elements below the root.
ERROR_BYTES, ERROR_LEVELS = 1 << 20, 50
_HEAD = 256  # bytes that tell a web page


class EndlessAnswerError(AnswerError):
    """An answer is longer than any page of a listing."""

    fmt = "the answer is no S3 listing: it has more than {size} MiB; check `endpoint_url`"


def guard(client: Any) -> None:
    """Bound the answers that a client accepts: errors, and the pages of listings."""
    events = client.meta.events
    # botocore takes a web page for an answer that was cut off, and would ask again and again.
    every = "before-parse.s3.*"
    repeat = getattr(botocore.handlers, "_handle_200_error", None)
    if repeat:
        events.unregister(every, repeat)
    events.register_first(every, refuse_page)
    if repeat:
        events.register_first(every, repeat)
    events.register("before-parse.s3", cut_error)
    events.register_first("needs-retry.s3.HeadBucket", do_not_follow)
    events.register("before-send.s3.ListObjectsV2", _Page(client))


def refuse_page(response_dict: dict, **_: object) -> None:
    """botocore hook: raise OddAnswerError for a web page in the place of a good answer."""
    body = response_dict["body"]
    if response_dict["status_code"] == 200 and isinstance(body, bytes):
        head = body[:_HEAD].lstrip().lower()
        if head.startswith((b"<!doctype html", b"<html")):
            raise OddAnswerError(what="it is a web page")


def do_not_follow(request_dict: dict, **_: object) -> None:
    """botocore hook: HEAD the bucket once. Where all requests are sent on, as by a login page,
    botocore would ask the bucket for its region because it had asked the bucket for its region."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


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
