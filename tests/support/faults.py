"""The vocabulary of the proxy: the recorded request and the faults. S3's own errors: ``s3_errors``.

``support.proxy`` gives it out again, so tests need one import.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Literal
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from awscrt.checksums import crc64nvme

Where = Literal["request", "response"]

_BUCKET_OPS = {
    ("GET", "accelerate"): "GetBucketAccelerateConfiguration",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", ""): "ListObjects",
    ("POST", "delete"): "DeleteObjects",
    ("HEAD", ""): "HeadBucket",
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
}
_KEY_OPS = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("GET", "uploadId"): "ListParts",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "attributes"): "GetObjectAttributes",
    ("HEAD", ""): "HeadObject",
    ("GET", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
}
# Named in the query of requests that are none of the operations above.
_OTHERS = """
    acl analytics cors encryption intelligent-tiering inventory legal-hold lifecycle logging metrics
    notification object-lock ownershipControls policy policyStatus publicAccessBlock replication
    requestPayment restore retention select tagging torrent versioning website
"""
_SUBRESOURCES = {sub for _, sub in (*_BUCKET_OPS, *_KEY_OPS) if sub} | set(_OTHERS.split())


@dataclass
class Request:
    """One request as it arrived; the fields after ``time`` fill in as it proceeds.

    ``status`` is what the client was told (None: nothing), ``upstream_status`` what the server
    said (None: it was not asked). ``sha256`` and ``body_length`` describe the received body (with
    any aws-chunked framing). ``answered`` counts the body bytes sent back. ``seconds`` is None as
    long as the exchange lasts. ``path`` is undecoded; ``query``, ``bucket`` and ``key`` are not.
    """

    method: str
    target: str
    headers: dict[str, str]
    time: float = field(default_factory=time.time)
    status: int | None = None
    upstream_status: int | None = None
    body_length: int = 0
    sha256: str = ""
    answered: int = 0
    seconds: float | None = None

    def __post_init__(self) -> None:
        self.path, _, query = self.target.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        bucket, _, key = self.path.lstrip("/").partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)

    @property
    def part(self) -> int | None:
        number = self.query.get("partNumber", "")
        return int(number) if number.isdigit() else None

    @property
    def op(self) -> str:
        """The S3 operation, ``other`` when it is none of those listed above."""
        if not self.bucket:
            return "ListBuckets" if (self.method, self.path) == ("GET", "/") else "other"
        subs = _SUBRESOURCES.intersection(self.query)
        name = "other"
        if len(subs) < 2:
            table = _KEY_OPS if self.key else _BUCKET_OPS
            name = table.get((self.method, next(iter(subs), "")), "other")
        if "x-amz-copy-source" in self.headers:
            return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(name, name)
        return name

    def matches(self, method: str | None, op: str | None, key: str | None) -> bool:
        return (
            (method is None or method == self.method)
            and (op is None or op == self.op)
            and (key is None or fnmatch.fnmatchcase(self.key, key))
        )


@dataclass(frozen=True)
class Answer:
    """Answer with an S3 error document, without asking the server (HEAD: without a body)."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    extra_xml: str = ""

    def document(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
            f"{self.extra_xml}<RequestId>WAYBILL0TEST0000</RequestId>"
            "<HostId>waybill+test+host+id=</HostId></Error>"
        ).encode()


@dataclass(frozen=True)
class FlipByte:
    """Flip the lowest bit of the byte at ``offset`` (negative: from the end) passing through."""

    where: Where
    offset: int

    def apply(self, body: IO[bytes]) -> bool:
        """Flip it in a stored body; False when the body ends before."""
        size = body.seek(0, 2)
        at = self.offset if self.offset >= 0 else size + self.offset
        if not 0 <= at < size:
            return False
        body.seek(at)
        byte = body.read(1)[0]
        body.seek(at)
        body.write(bytes([byte ^ 1]))
        return True


@dataclass(frozen=True)
class Truncate:
    """Lose all but the first bytes of a body.

    A response keeps its declared length and its connection closes early. A request is forwarded
    with a matching shorter length: a silent loss, which only a checksum can tell.
    """

    where: Where
    keep_bytes: int


@dataclass(frozen=True)
class Reset:
    """Close with RST after that many body bytes; on "request" the server is not asked."""

    after_bytes: int = 0
    where: Where = "request"


@dataclass(frozen=True)
class Stall:
    """Go silent, then close with RST: before asking the server, or within the response body."""

    seconds: float
    where: Where = "request"
    after_bytes: int = 0


@dataclass(frozen=True)
class Delay:
    """Wait before forwarding."""

    seconds: float


@dataclass(frozen=True)
class LoseResponse:
    """The server does the work and answers, and the client gets a reset connection."""


@dataclass(frozen=True)
class DropHeader:
    """The server does not get to see this header, as one that does not know it. In the place of the
    host it gets its own."""

    name: str


@dataclass(frozen=True)
class SetHeaders:
    """The client gets these headers in the place of the server's, by name in lower case; None
    stands for one that is left out."""

    headers: Mapping[str, str | None]

    def apply(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        kept = [(name, text) for name, text in headers if name.lower() not in self.headers]
        return kept + [(name, text) for name, text in self.headers.items() if text is not None]


@dataclass(frozen=True)
class Page(Answer):
    """Answer with a web page, as a network that wants a login does, without asking the server; or
    with headers alone, when there is no message."""

    status: int = 200
    code: str = ""
    message: str = "Log in to the guest network"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})

    def document(self) -> bytes:
        if "json" in self.headers.get("Content-Type", "") or self.message.startswith("<"):
            return self.message.encode()
        page = f"<!doctype html><html><body><br>{self.message}</body></html>"
        return page.encode() if self.message else b""


@dataclass(frozen=True)
class Instead:
    """The answer comes with another body, in chunks, as one that was unpacked on the way."""

    body: bytes


@dataclass(frozen=True)
class Rewrite:
    """The answer comes with the body that ``function`` makes of the server's."""

    function: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Call:
    """Call ``function(request)`` once the body has arrived, before forwarding."""

    function: Callable[[Request], Any]


@dataclass(frozen=True)
class CheckSha256:
    """Refuse a body that does not match its x-amz-checksum-sha256, x-amz-checksum-crc64nvme or
    Content-MD5, as S3 does.

    With ``payload`` also one that does not match a literal x-amz-content-sha256.
    """

    code: str = "BadDigest"
    payload: bool = False

    def refusal(self, request: Request, body: IO[bytes]) -> Answer | None:
        """The error for this body, None when it is as declared."""
        body.seek(0)
        declared = request.headers.get("x-amz-checksum-sha256")
        if request.op in ("CreateMultipartUpload", "CompleteMultipartUpload"):
            declared = None  # there it is about the object, not about this body
        sha256, md5, crc = hashlib.sha256(), hashlib.md5(), 0
        if "aws-chunked" in request.headers.get("content-encoding", ""):
            while size := int(body.readline().split(b";")[0] or b"0", 16):
                sha256.update(body.read(size))
                body.readline()
            trailer = re.search(rb"(?im)^x-amz-checksum-sha256:\s*(\S+)", body.read(1 << 16))
            declared = trailer[1].decode() if trailer else declared
        else:
            while block := body.read(1 << 16):
                sha256.update(block)
                md5.update(block)
                crc = crc64nvme(block, crc)
            literal = request.headers.get("x-amz-content-sha256", "")
            if self.payload and len(literal) == 64 and literal != sha256.hexdigest():
                return Answer(
                    400,
                    "XAmzContentSHA256Mismatch",
                    "The provided 'x-amz-content-sha256' header does not match what was computed.",
                )
            by_crc = request.headers.get("x-amz-checksum-crc64nvme")
            is_body = request.op in ("PutObject", "UploadPart")
            if is_body and by_crc and by_crc != b64encode(crc.to_bytes(8, "big")).decode():
                message = "The CRC64NVME you specified did not match the calculated checksum."
                return Answer(400, self.code, message)
            content_md5 = request.headers.get("content-md5")
            if content_md5 and content_md5 != b64encode(md5.digest()).decode():
                message = "The Content-MD5 you specified did not match what we received."
                return Answer(400, "BadDigest", message)
        if declared and declared != b64encode(sha256.digest()).decode():
            message = "The SHA256 you specified did not match the calculated checksum."
            return Answer(400, self.code, message)
        return None


def short_pages(keys: int) -> Call:
    """The server, which signs nothing, is asked for pages of so many keys."""

    def ask(request: Request) -> None:
        request.target += f"&max-keys={keys}"

    return Call(ask)


Action = (
    Answer | FlipByte | Truncate | Reset | Stall | Delay | LoseResponse | DropHeader | SetHeaders
    | Call | CheckSha256 | Instead | Rewrite
)  # fmt: skip


@dataclass
class Fault:
    """Do ``action`` on matching requests: not the first ``after``, then ``times`` (None: always).

    ``key`` is a glob over the decoded key. ``hits`` counts how often it was done.
    """

    action: Action
    op: str | None = None
    method: str | None = None
    key: str | None = None
    part: int | None = None
    times: int | None = None
    after: int = 0
    hits: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)

    def take(self, request: Request) -> bool:
        if not request.matches(self.method, self.op, self.key):
            return False
        if self.part is not None and self.part != request.part:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


def response_faults(
    actions: list[Action], size: int
) -> tuple[dict[int, FlipByte], dict[int, Truncate | Reset | Stall]]:
    """What to do to a response body of ``size`` bytes, by position: the flips and the cuts."""
    flips: dict[int, FlipByte] = {}
    cuts: dict[int, Truncate | Reset | Stall] = {}
    for action in actions:
        match action:
            case FlipByte("response", offset):
                flips[offset if offset >= 0 else size + offset] = action
            case Truncate("response", keep):
                cuts[keep] = action
            case Reset(after, "response") | Stall(_, "response", after):
                cuts[after] = action
    return flips, cuts
