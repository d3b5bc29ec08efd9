"""The proxy's connections: takes one request after the other, does its faults, and forwards it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import select
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any

from support.faults import (
    Action,
    Answer,
    Call,
    CheckSha256,
    Delay,
    DropHeader,
    FlipByte,
    Instead,
    LoseResponse,
    Request,
    Reset,
    Rewrite,
    SetHeaders,
    Stall,
    Truncate,
    response_faults,
)
from support.server import HOST

if TYPE_CHECKING:
    from support.proxy import Proxy

BLOCK = 1 << 16
SPOOL = 64 << 20
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "expect"}


class ProxyServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # A client that goes away is ordinary; everything else is for the test to see.
        if error is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            self.proxy.errors.append(error)


class _Drop(ConnectionError):
    """End this connection: with RST, or orderly but early."""

    def __init__(self, *, reset: bool = True) -> None:
        super().__init__("dropped on purpose")
        self.reset = reset


class _Handler(BaseHTTPRequestHandler):
    """One client connection, with its own kept-alive connection to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ProxyServer

    def setup(self) -> None:
        super().setup()
        self.proxy = self.server.proxy
        if self.proxy.rate:  # what the system holds would count as sent
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self.connection.setsockopt(socket.SOL_SOCKET, option, BLOCK)
        self.link = http.client.HTTPConnection(*self.proxy.upstream, timeout=300)

    def finish(self) -> None:
        self.link.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the record is in ``Proxy.requests``."""

    def do_any(self) -> None:
        # The request line as sent: the base class rewrites some paths.
        target = str(self.requestline).split(" ")[1]
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        request = Request(self.command, target, headers)
        actions = self.proxy.arrived(request)
        started = time.monotonic()
        try:
            with tempfile.SpooledTemporaryFile(max_size=SPOOL) as body:
                self._receive(request, actions, body)
                answer = self._before(request, actions, body)
                if answer is not None:
                    self._answer(request, answer)
                else:
                    self._forward(request, actions, body)
        except _Drop as drop:
            self.close_connection = True
            if drop.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.rfile.close()
                self.connection.close()
        finally:
            request.seconds = time.monotonic() - started

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_any

    def _receive(self, request: Request, actions: list[Action], body: IO[bytes]) -> None:
        """Take the whole body, or as much of it as a Reset allows."""
        resets = [a.after_bytes for a in actions if isinstance(a, Reset) and a.where == "request"]
        limit = min(resets, default=None)
        digest = hashlib.sha256()
        for block in self._blocks(limit):
            if limit is not None:
                block = block[: limit - request.body_length]
            body.write(block)
            digest.update(block)
            request.body_length += len(block)
            if limit is not None and request.body_length >= limit:
                break
        request.sha256 = digest.hexdigest()
        if limit is not None:
            raise _Drop

    def _blocks(self, limit: int | None) -> Iterator[bytes]:
        """The body without its transfer coding."""
        if limit == 0:
            return
        if not self._chunked():
            yield from self._exactly(int(self.headers.get("content-length") or 0))
            return
        while size := int(self._line().split(b";")[0], 16):
            yield from self._exactly(size)
            self._line()
        while self._line().strip():
            pass

    def _chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    def _line(self) -> bytes:
        line = self.rfile.readline(BLOCK)
        if not line.endswith(b"\n"):
            raise ConnectionError("the client left")
        return line

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read1(min(size, BLOCK))
            if not block:
                raise ConnectionError("the client left")
            self.proxy.spend(len(block), "request")
            size -= len(block)
            yield block

    def _before(self, request: Request, actions: list[Action], body: IO[bytes]) -> Answer | None:
        """Do what comes before forwarding; an answer means that nothing is forwarded."""
        self.proxy.closing.wait(self.proxy.latency)
        for action in actions:
            answer = None
            match action:
                case Delay(seconds):
                    self.proxy.closing.wait(seconds)
                case Stall(seconds, "request"):
                    self.proxy.closing.wait(seconds)
                    raise _Drop
                case Call(function):
                    function(request)
                case FlipByte("request"):
                    if not action.apply(body):
                        self._vain(action)
                case Truncate("request", keep):
                    if keep >= body.seek(0, 2):
                        self._vain(action)
                    body.truncate(min(keep, body.tell()))
                case CheckSha256():
                    answer = action.refusal(request, body)
                case Answer():
                    answer = action
            if answer is not None:
                return answer
        return None

    def _vain(self, action: Action) -> None:
        self.proxy.errors.append(AssertionError(f"{action} had no effect: the body is too short"))

    def _answer(self, request: Request, answer: Answer) -> None:
        document = answer.document()
        request.status = answer.status
        head = {
            "x-amz-request-id": "WAYBILL0TEST0000",
            "x-amz-id-2": "waybill+test+host+id=",
            "Content-Type": "application/xml",
            "Date": formatdate(usegmt=True),
            "Server": "AmazonS3",
            **answer.headers,
        }
        if request.method != "HEAD":
            head["Content-Length"] = str(len(document))
        self._head(answer.status, "", list(head.items()))
        if request.method != "HEAD":
            self._send(request, document)

    def _head(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status, reason or None)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _send(self, request: Request, data: bytes) -> None:
        self.proxy.spend(len(data), "answer")
        request.answered += len(data)
        self.wfile.write(data)

    def _forward(self, request: Request, actions: list[Action], body: IO[bytes]) -> None:
        try:
            response = self._ask(request, actions, body)
        except (OSError, http.client.HTTPException) as error:
            self.link.close()
            self._answer(request, Answer(502, "BadGateway", f"the server failed: {error!r}"))
            return
        request.upstream_status = response.status
        if any(isinstance(action, LoseResponse) for action in actions):
            response.read()
            raise _Drop
        request.status = response.status
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP]
        for action in actions:
            headers = action.apply(headers) if isinstance(action, SetHeaders) else headers
        instead = [action.body for action in actions if isinstance(action, Instead)]
        for action in actions:
            if isinstance(action, Rewrite):
                instead = [action.function(response.read())]
        if instead:
            headers = SetHeaders({"content-length": None}).apply(headers)
        chunked = not bodiless and "content-length" not in {name.lower() for name, _ in headers}
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        self._head(response.status, response.reason, headers)
        blocks = self._spoiled(request, response, actions)
        if instead:
            response.read()
            blocks = iter(instead[:1])
        for block in blocks:
            if chunked:
                self.wfile.write(b"%x\r\n" % len(block))
            self._send(request, block)
            if chunked:
                self.wfile.write(b"\r\n")
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _ask(
        self, request: Request, actions: list[Action], body: IO[bytes]
    ) -> http.client.HTTPResponse:
        """Send the request to the server on a connection known to be alive; never send twice."""
        link = self.link
        if link.sock is not None and select.select([link.sock], [], [], 0)[0]:
            link.close()
        link.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        size = body.seek(0, 2)
        body.seek(0)
        chunked = self._chunked()
        dropped = {action.name.lower() for action in actions if isinstance(action, DropHeader)}
        for name, value in self.headers.items():
            if name.lower() == "content-length":
                value = str(size)
            if name.lower() not in _HOP_BY_HOP | dropped:
                link.putheader(name, value)
        if "host" in dropped:
            link.putheader("Host", f"{link.host}:{link.port}")
        if chunked:
            link.putheader("Transfer-Encoding", "chunked")
        link.endheaders()
        # A server may answer and close before it has the whole body: then read that answer.
        with contextlib.suppress(ConnectionError):
            while block := body.read(BLOCK):
                link.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            if chunked:
                link.send(b"0\r\n\r\n")
        return link.getresponse()

    def _spoiled(
        self, request: Request, response: http.client.HTTPResponse, actions: list[Action]
    ) -> Iterator[bytes]:
        """The response body, with the faults that act on it."""
        size = response.length
        flips, cuts = response_faults(actions, size or 0)
        cut_at = min(cuts, default=None)
        position = 0
        while cut_at is None or position < cut_at:
            want = BLOCK if cut_at is None else min(BLOCK, cut_at - position)
            try:
                block = bytearray(response.read(want))
            except (OSError, http.client.HTTPException) as error:
                raise _Drop from error
            if not block:
                break
            for at in [at for at in flips if position <= at < position + len(block)]:
                block[at - position] ^= 1
                del flips[at]
            position += len(block)
            yield bytes(block)
        for action in flips.values():
            self._vain(action)
        if cut_at is not None:
            cut = cuts[cut_at]
            if isinstance(cut, Truncate) and position == size:
                self._vain(cut)
            if isinstance(cut, Stall):
                self.proxy.closing.wait(cut.seconds)
            self.link.close()
            raise _Drop(reset=not isinstance(cut, Truncate))
        if size is not None and position < size:
            raise _Drop  # the server itself broke off
