"""A proxy that is out of step: it takes some requests without passing them on, and gives them an
answer that it gave before on the same connection, as one that answers once too often does."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Self

from support.server import HOST

_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)\r$")


class Rogue:
    """Use it as a context manager. Of each connection, every ``every``-th PUT is answered with the
    answer to the PUT before it and goes nowhere; ``lost`` holds the targets of those. With
    ``opaque`` no ETag is the MD5 of anything, in answers and in listings."""

    def __init__(self, url: str, *, every: int = 5, opaque: bool = False) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._upstream = host, int(port)
        self._every, self._opaque = every, opaque
        self.lost: list[str] = []
        self.listings = 0
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self._taken: set[socket.socket] = set()
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._taken):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._taken.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        before, puts = b"", 0
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as stream:
            while head := _head(stream):
                if b"100-continue" in head:
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = stream.read(_length(head))
                method, target = head.split(b" ", 2)[:2]
                if method == b"PUT":
                    puts += 1
                    if before and puts % self._every == 0:
                        self.lost.append(target.decode())
                        client.sendall(before)
                        continue
                self.listings += b"list-type" in target
                answer = self._ask(self._bare(head), body)
                if method == b"PUT" and b" 200 " in answer[:20]:
                    before = answer
                client.sendall(answer)

    def _bare(self, head: bytes) -> bytes:
        head = re.sub(rb"(?im)^expect:.*\r\n", b"", head)
        if self._opaque:
            head = re.sub(rb'(?im)^(if-match: ")v1-', rb"\1", head)
        return re.sub(rb"(?im)^connection:.*\r\n", b"", head)

    def _ask(self, head: bytes, body: bytes) -> bytes:
        """The whole answer of the server, for a connection that is kept."""
        with socket.create_connection(self._upstream) as link, link.makefile("rb") as stream:
            link.sendall(head[:-2] + b"Connection: close\r\n\r\n" + body)
            answer = _head(stream)
            has_body = not head.startswith(b"HEAD")
            length = _LENGTH.search(answer)
            content = stream.read(int(length[1]) if length else -1) if has_body else b""
        if self._opaque:
            answer = re.sub(rb'(?im)^(etag: ")', rb"\1v1-", answer)
            content = re.sub(rb'<ETag>(&quot;|&#34;|")?', rb"\g<0>v1-", content)
        answer = re.sub(rb"(?im)^(connection|transfer-encoding|content-length):.*\r\n", b"", answer)
        size = len(content) if has_body or not length else int(length[1])
        return answer[:-2] + b"Content-Length: %d\r\n\r\n" % size + content


def _head(stream) -> bytes:
    """The lines up to the empty one, with it; nothing at the end of the connection."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)
    return b""


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0
