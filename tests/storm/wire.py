"""What goes wrong on the wire, by name: the faults of ``support.faults`` and those of servers,
gateways and caches seen in public reports."""

from __future__ import annotations

import gzip
import http.client
import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from support.exchange import _Handler
from support.faults import (
    Action,
    Answer,
    CheckSha256,
    Delay,
    DropHeader,
    Fault,
    FlipByte,
    LoseResponse,
    Request,
    Reset,
    Stall,
    Truncate,
)
from support.proxy import Proxy
from support.s3_errors import access_denied, internal_error, slow_down

PAGE = (
    b'<html><head><meta http-equiv="refresh" content="0; url=/"/></head><body>&nbsp;</body></html>'
)


@dataclass(frozen=True)
class Page(Answer):
    """A web page, or nothing at all, where S3's answer should be; the server is not asked."""

    body: bytes = PAGE

    def document(self) -> bytes:
        return self.body


def page(status: int, body: bytes = PAGE) -> Page:
    return Page(status, "", "", {"Content-Type": "text/html"}, body=body)


@dataclass(frozen=True)
class Twice:
    """The answer comes a second time on the same connection."""


@dataclass(frozen=True)
class Chunked:
    """The answer has no Content-Length."""


@dataclass(frozen=True)
class Unpacked:
    """An object that is stored with gzip comes unpacked."""


@dataclass(frozen=True)
class SamePage:
    """A listing says that it goes on, and its next page is the same with the same token."""


@dataclass(frozen=True)
class DropAnswerHeader:
    """The client does not get to see the headers whose names begin so."""

    name: str


@dataclass
class StartAfter(Fault):
    """Only for listings that ask for what comes after a key."""

    action: Any = field(
        default_factory=lambda: Answer(501, "NotImplemented", "start-after is not supported")
    )

    def take(self, request: Request) -> bool:
        return "start-after" in request.query and super().take(request)


class _Altered:
    """A server's answer, changed."""

    def __init__(self, response: http.client.HTTPResponse, actions: list[Any]) -> None:
        self.status, self.reason = response.status, response.reason
        self._headers = response.getheaders()
        self._body: Any = response
        self.length = response.length
        drops = [a.name.lower() for a in actions if isinstance(a, DropAnswerHeader)]
        if drops:
            self._headers = [
                (k, v) for k, v in self._headers if not k.lower().startswith(tuple(drops))
            ]
        if any(isinstance(a, SamePage) for a in actions) and self.status == 200:
            again = (
                b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
            )
            body = re.sub(
                rb"<NextContinuationToken>[^<]*</NextContinuationToken>", b"", response.read()
            )
            self._become(re.sub(rb"<IsTruncated>[^<]*</IsTruncated>", again, body))
        packed = response.getheader("content-encoding") == "gzip" and self.status == 200
        if packed and any(isinstance(a, Unpacked) for a in actions):
            self._drop("content-encoding")
            self._become(gzip.decompress(response.read()))
            actions = [*actions, Chunked()]
        if any(isinstance(a, Chunked) for a in actions) and self.status in (200, 206):
            self._drop("content-length")

    def _become(self, body: bytes) -> None:
        self._body, self.length = io.BytesIO(body), len(body)
        if self.getheader("content-length") is not None:
            self._drop("content-length")
            self._headers.append(("Content-Length", str(len(body))))

    def _drop(self, name: str) -> None:
        self._headers = [(k, v) for k, v in self._headers if k.lower() != name]

    def getheaders(self) -> list[tuple[str, str]]:
        return self._headers

    def getheader(self, name: str) -> str | None:
        return next((v for k, v in self._headers if k.lower() == name), None)

    def read(self, count: int | None = None) -> bytes:
        return self._body.read() if count is None else self._body.read(count)


class _Recorder(io.RawIOBase):
    """Writes on, and keeps what was written."""

    def __init__(self, out: Any) -> None:
        self.out, self.kept = out, bytearray()

    def write(self, data: Any) -> int:
        self.kept += data
        return self.out.write(data)


class _StormHandler(_Handler):
    def _ask(self, request: Request, actions: list[Action], body: IO[bytes]) -> Any:
        response = super()._ask(request, actions, body)
        altering = (Chunked, Unpacked, SamePage, DropAnswerHeader)
        if any(isinstance(action, altering) for action in actions):
            return _Altered(response, actions)
        return response

    def _forward(self, request: Request, actions: list[Action], body: IO[bytes]) -> None:
        if not any(isinstance(action, Twice) for action in actions):
            return super()._forward(request, actions, body)
        plain = self.wfile
        self.wfile = recorder = _Recorder(plain)
        try:
            super()._forward(request, actions, body)
        finally:
            self.wfile = plain
        plain.write(bytes(recorder.kept))
        return None


class StormProxy(Proxy):
    """The proxy, with the faults above."""

    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self._server.RequestHandlerClass = _StormHandler


# Most files are small: PutObject and GetObject are what runs ask for most.
WRITES = ["PutObject"] * 8 + ["UploadPart"]
ASKS_UP = [*WRITES, "CreateMultipartUpload", "CompleteMultipartUpload", "ListObjectsV2",
           "ListObjectsV2", "HeadObject"]  # fmt: skip
ASKS_DOWN = ["GetObject"] * 6 + ["ListObjectsV2"] * 2 + ["HeadObject"]
CHECKSUMS = ("x-amz-checksum-sha256", "x-amz-checksum-crc64nvme")

# Each makes the action; which operations it is for, in each direction.
_Make = Callable[[random.Random], Any]
_NOTHING: list[str] = []
_KINDS: dict[str, tuple[_Make, list[str], list[str]]] = {
    "flip request": (lambda r: FlipByte("request", r.choice([0, 3, -1])), WRITES, _NOTHING),
    "flip answer": (lambda r: FlipByte("response", r.choice([0, 3, -1])), _NOTHING, ["GetObject"]),
    "truncate request": (lambda r: Truncate("request", r.choice([0, 7])), WRITES, _NOTHING),
    "truncate answer": (
        lambda r: Truncate("response", r.choice([0, 7, 700])),
        ["ListObjectsV2", "CompleteMultipartUpload"],
        ASKS_DOWN[:-1],
    ),
    "no metadata told": (
        lambda r: DropAnswerHeader("x-amz-meta-"),
        ["HeadObject"],
        ["GetObject", "HeadObject"],
    ),
    "unpacked": (lambda r: Unpacked(), _NOTHING, ["GetObject"]),
    "same page": (lambda r: SamePage(), ["ListObjectsV2"], ["ListObjectsV2"]),
    "no conditions": (
        lambda r: DropHeader(r.choice(["if-match", "if-none-match"])),
        WRITES,
        ["GetObject"],
    ),
    "no checksum": (lambda r: tuple(map(DropHeader, CHECKSUMS)), WRITES, _NOTHING),
    "metadata lost": (
        lambda r: DropHeader("x-amz-meta-source-sha256"),
        ["PutObject", "CreateMultipartUpload"],
        _NOTHING,
    ),
    "no range": (lambda r: DropHeader("range"), _NOTHING, ["GetObject"]),
    "start-after refused": (lambda r: None, ["ListObjectsV2"], ["ListObjectsV2"]),
    "flip unseen": (
        lambda r: (
            FlipByte("request", r.choice([0, 3, -1])),
            *map(DropHeader, CHECKSUMS),
            DropHeader("content-md5"),
        ),
        WRITES,
        _NOTHING,
    ),
}
_ANYWHERE: dict[str, _Make] = {
    "reset request": lambda r: Reset(r.choice([0, 1, 999])),
    "reset answer": lambda r: Reset(r.choice([0, 1, 999]), "response"),
    "stall": lambda r: Stall(r.uniform(0.1, 1.5), r.choice(["request", "response"])),
    "delay": lambda r: Delay(r.uniform(0.1, 1.5)),
    "lose answer": lambda r: LoseResponse(),
    "500": lambda r: internal_error(),
    "503": lambda r: slow_down(),
    "429": lambda r: Answer(429, "TooManyRequests", "later", {"Retry-After": "1"}),
    "400 timeout": lambda r: Answer(400, "RequestTimeout", "Your connection was idle"),
    "403": lambda r: access_denied(),
    "page 200": lambda r: page(200),
    "page 502": lambda r: page(502),
    "empty 200": lambda r: page(200, b""),
    "404 page": lambda r: page(404),
    "answer twice": lambda r: Twice(),
    "chunked": lambda r: Chunked(),
    "no etag": lambda r: DropAnswerHeader("etag"),
    "no checksum told": lambda r: DropAnswerHeader("x-amz-checksum-"),
}
_KINDS |= {name: (make, ASKS_UP, ASKS_DOWN) for name, make in _ANYWHERE.items()}


def draw(rng: random.Random, direction: str) -> tuple[str, list[Fault]]:
    """One fault for a run of ``up`` or ``down``: its name with the operation, and what does it."""
    names = [name for name, (_, up, down) in _KINDS.items() if (up if direction == "up" else down)]
    name = rng.choice(names)
    make, up, down = _KINDS[name]
    op = rng.choice(up if direction == "up" else down)
    times = rng.choice([1, 1, 2, 3, 8])
    after = rng.choice([0, 0, 0, 1, 3])
    if name == "start-after refused":
        return f"{name} {op}", [StartAfter(op=op)]
    made = make(rng)
    actions = made if isinstance(made, tuple) else (made,)
    faults = [Fault(action, op=op, times=times, after=after) for action in actions]
    return f"{name} {op} x{times} after {after}", faults


def checks() -> Fault:
    """What a server that does not check bodies needs before it."""
    return Fault(CheckSha256())
