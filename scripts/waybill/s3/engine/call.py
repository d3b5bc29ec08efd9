"""One request of the native engine, with its retries."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from waybill.s3.engine.headers import Headers
from waybill.s3.evidence import Answer
from waybill.s3.http.body import Flow
from waybill.system.meter import Span

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Read = Callable[[Answer, str], Any]  # takes a good answer and its request id


class Call:
    """One request with its retries.

    ``future`` gets the result: what ``read`` returns for the headers of a good answer, and with
    ``keeps`` the body too. ``read`` is called before the connection carries another request. With
    ``flow`` headers and body go to another thread instead. ``prepare`` is called before the first
    attempt. ``elsewhere`` makes the same call by botocore, for a bucket in another region.
    ``span`` counts its bytes.
    """

    def __init__(
        self,
        operation: str,
        path: str,
        span: Span,
        headers: Headers,
        body: bytes = b"",
        sha256: str = EMPTY_SHA256,
        *,
        read: Read | None = None,
        keeps: bool = False,
        flow: Flow | None = None,
    ) -> None:
        self.operation, self.path, self.headers = operation, path, headers
        self.span = span
        self.method = "GET" if operation == "GetObject" else "PUT"
        self.body, self.sha256 = body, sha256
        self.read, self.keeps, self.flow = read, keeps, flow
        self.result: Any = None  # of ``read``
        self.prepare: Callable[[], None] | None = None
        self.elsewhere: Callable[[], Future[Any]] | None = None
        self.future: Future[Any] = Future()
        self.attempt = self.damaged = self.odd = 0
        self.accepted = False
        self.moved = len(body)  # bytes
