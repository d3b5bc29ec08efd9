"""What botocore gets to read of the answers of a server: answers that no parser can read are made
legible, errors that are none of S3 keep their first words, and nothing is read without an end.

They are hooks of botocore; ``guard`` registers them with a client. The native engine calls
``error_body`` itself.
"""

from __future__ import annotations

import contextlib
import html
import re
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

import botocore.exceptions as be
import urllib3.exceptions
from botocore.handlers import BUILTIN_HANDLERS

from waybill.s3.causes import AnswerError
from waybill.s3.errors import PAGE
from waybill.s3.evidence import OddAnswerError
from waybill.s3.listing import parse_listing

# A page of 1,000 keys of 1,024 bytes, each of them written as %XX, has less than 4 MiB.
PAGE_BYTES = 32 << 20
# An error of S3 has about 500 bytes, in one level of elements below the root.
ERROR_BYTES, ERROR_LEVELS = 1 << 20, 50
_HEAD = 256  # bytes that tell a web page
WORDS = 120  # characters of a page that are told
_WORDS_BYTES = 16 << 10  # of a page in which they are looked for

_BEFORE_PARSE = "before-parse.s3.*"
# The good answers of these have no body; whatever comes as one is none of S3.
_BODILESS = {"PutObject", "UploadPart"}
# The answers of these tell a key, which may hold characters that XML cannot.
_WITH_KEY = {"CreateMultipartUpload", "CompleteMultipartUpload", "ListParts"}

# Characters that XML 1.0 does not allow, in UTF-8, and references to characters.
_NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,8}));")
_TAGS = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>|\s+")


class EndlessAnswerError(AnswerError):
    """An answer is longer than any page of a listing."""

    fmt = "the answer is no S3 listing: it has more than {size} MiB; check `endpoint_url`"


def guard(client: Any) -> None:
    """Register the hooks with a client."""
    events = client.meta.events
    # Before botocore's own, one of which takes what is no XML for an error with the status 500.
    theirs = [entry for entry in BUILTIN_HANDLERS if entry[0] == _BEFORE_PARSE]
    for entry in theirs:
        events.unregister(_BEFORE_PARSE, entry[1])
    events.register(_BEFORE_PARSE, _read_answer)
    for entry in theirs:
        events.register(_BEFORE_PARSE, entry[1])
    events.register("before-parse.s3", _read_error)
    events.register_first("needs-retry.s3.HeadBucket", do_not_follow)
    events.register("before-send.s3.ListObjectsV2", _Page(client))


def do_not_follow(request_dict: dict, **_: object) -> None:
    """botocore hook: HEAD the bucket once. Where all requests are sent on, as by a login page,
    botocore would ask the bucket for its region because it had asked the bucket for its region."""
    request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


def _read_answer(
    operation_model: Any, response_dict: dict, customized_response_dict: dict, **_: object
) -> None:
    """botocore hook: make a good answer legible. The body of one that is not is dropped; an answer
    without its elements is an odd one for those who read it. So is the body of an answer that has
    none: its headers decide. Raises OddAnswerError for a web page in the place of an answer."""
    if response_dict["status_code"] >= 300:
        return
    operation = operation_model.name
    if operation == "ListObjectsV2":
        parse_listing(response_dict, customized_response_dict)
    elif operation in _BODILESS:
        response_dict["body"] = b""
    elif operation in _WITH_KEY:
        body = legible(response_dict["body"])
        response_dict["body"] = b"" if _root(body) is None else body
    elif _is_web_page(response_dict["body"]):
        raise OddAnswerError(what="it is a web page")


def _is_web_page(body: object) -> bool:
    if not isinstance(body, bytes):
        return False
    return body[:_HEAD].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _read_error(response_dict: dict, **_: object) -> None:
    """botocore hook: replace the body of an error by what botocore can read."""
    body, status = response_dict["body"], response_dict["status_code"]
    if status >= 300 and isinstance(body, bytes):
        response_dict["body"] = error_body(status, body)


def error_body(status: int, body: bytes) -> bytes:
    """The body of an error in a form that botocore can read.

    A document of S3 stays as it is. The first words of anything else, such as the page of a
    gateway, become the message of an error with the status as its code, which
    ``s3.errors.page_words`` recognises. botocore itself would tell nothing of a page, and would
    follow nested elements until the stack overflows.
    """
    if len(body) <= ERROR_BYTES and not _is_deep(body):
        body = legible(body)
        if document := _error_document(body):
            return document
    words = _first_words(body)
    if not words:
        return b""
    text = f"<Code>{status}</Code><Message>{escape(words)}</Message><{PAGE}>1</{PAGE}>"
    return f"<Error>{text}</Error>".encode()


def legible(body: bytes) -> bytes:
    """XML with a question mark for each character that XML cannot hold. S3 allows them in keys, and
    repeats keys in its answers."""
    if not _NO_XML.search(body) and b"&#" not in body:
        return body
    return _REFERENCE.sub(_allowed, _NO_XML.sub(b"?", body))


def _allowed(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    control = number < 32 and number not in (9, 10, 13)
    other = 0xD800 <= number < 0xE000 or number in (0xFFFE, 0xFFFF) or number > 0x10FFFF
    return b"?" if control or other else reference[0]


def _root(body: bytes) -> ElementTree.Element | None:
    """The root of a document; None when it is no XML."""
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def _error_document(body: bytes) -> bytes:
    """The error of S3 in a document, as botocore expects it: not in a namespace, and not in another
    element. ``b""`` when there is none."""
    root = _root(body)
    if root is None:
        return b""
    error = next((e for e in (root, *root) if e.tag.rpartition("}")[2] == "Error"), None)
    if error is None or not any(
        part.tag.rpartition("}")[2] == "Code" and (part.text or "").strip() for part in error
    ):
        return b""
    if error.tag == root.tag == "Error":
        return body
    for element in error.iter():
        element.tag = element.tag.rpartition("}")[2]
    return ElementTree.tostring(error)


def _first_words(body: bytes) -> str:
    """The first words of a page, without its tags, in one line."""
    text = body[:_WORDS_BYTES].decode("utf-8", "replace")
    found = re.search(r"(?is)<title[^>]*>(.*?)</title", text)
    title, words = (
        " ".join("".join(c if c.isprintable() else " " for c in html.unescape(part)).split())
        for part in (found[1] if found else "", _TAGS.sub(" ", text))
    )
    if title not in words:
        words = f"{title}: {words}" if words else title
    return words if len(words) <= WORDS else f"{words[:WORDS].rstrip()} …"


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
    with contextlib.suppress(expat.ExpatError):  # no XML: it is told by its first words
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
